// How a convolution is cut into threads on a GPU; no CUDA header, so that tests can read it on any machine.
#ifndef VMEXPORT_SCAN_CONV_PLAN_H
#define VMEXPORT_SCAN_CONV_PLAN_H

#include <stdint.h>

#include "params.h"

namespace vmexport {

constexpr int kConvThreads = 128;  // of a block
constexpr int kConvSteps = 8;      // steps of a thread
constexpr int kVectorBytes = 16;   // the widest load of a thread
constexpr int kFastTaps = 4;       // taps of every published model

// Items are numbered column, direction, chunk, batch (fastest first); a thread does one.
struct ConvPlan {
  int32_t vector;   // channels of a thread
  bool fast_taps;   // kFastTaps taps, unrolled
  int64_t columns;  // vectors of a row
  int64_t chunks;   // of kConvSteps steps in a sequence
  int64_t items;
  int64_t blocks;
};

// `params` are valid and not empty.
ConvPlan conv_plan(const vmexport_conv_params& params) noexcept;

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_CONV_PLAN_H
