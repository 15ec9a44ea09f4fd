// A scan order step by step: one division at the start and none after that.
#ifndef VMEXPORT_SCAN_WALK_H
#define VMEXPORT_SCAN_WALK_H

#include "order.h"

namespace vmexport {

// The tokens that token_at gives for first, first + 1, ... A run is a frame or the whole sequence. Counters that no
// walk of fewer than 2^30 steps brings to zero are cut to that, because 64-bit ones cost twice as much on a GPU.
struct Walk {
  int64_t token;
  int64_t advance;     // from the last token of a run to the first of the next
  int32_t stride;      // between tokens of a run
  int32_t run;         // steps of a run
  int32_t to_advance;  // steps left in this run
  int32_t to_class;    // steps until the class token, to which framewise orders jump

  VMEXPORT_HOST_DEVICE Walk(const vmexport_token_order& tokens, int32_t direction, int64_t length, int64_t first) {
    const int32_t order = tokens.orders[direction];
    const bool frames = order == VMEXPORT_SPATIAL || order == VMEXPORT_TEMPORAL;
    const int64_t whole = frames ? tokens.tokens_per_frame : length;
    stride = order == VMEXPORT_FORWARD || order == VMEXPORT_TEMPORAL ? 1 : -1;
    advance = -stride * (2 * whole - 1);
    run = cut(whole);
    to_advance = cut(whole - (frames ? first % whole : first));
    to_class = cut(frames ? length - tokens.class_token - first : length);
    token = token_at(order, first, length, tokens.tokens_per_frame, tokens.class_token);
  }

  VMEXPORT_HOST_DEVICE void next() {
    const bool at_end = --to_advance == 0;
    token += at_end ? advance : stride;
    to_advance = at_end ? run : to_advance;
    if (--to_class == 0) token = 0;
  }

  VMEXPORT_HOST_DEVICE static int32_t cut(int64_t steps) {
    return static_cast<int32_t>(steps < (1 << 30) ? steps : 1 << 30);
  }
};

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_WALK_H
