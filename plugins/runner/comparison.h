// How far two sets of logits are apart, and how far they may be.
#ifndef VMEXPORT_RUNNER_COMPARISON_H
#define VMEXPORT_RUNNER_COMPARISON_H

#include <string>

#include "npy.h"

namespace vmexport::runner {

struct Tolerance {
  std::string name;
  double relative;  // largest difference of two logits, over the largest reference logit
  double cosine;    // smallest cosine between the logits of one clip
};

// By precision of the engine: the numbers of vmexport/runtime/tolerance.py, which a test holds them to.
inline const Tolerance kTolerances[] = {
    {"fp32", 1e-4, 0.999999},
    {"fp16", 3e-2, 0.9999},
    {"bf16", 2e-1, 0.999},
};

struct Agreement {
  bool finite = false;  // of both sides; where not, the rest says nothing
  double max_abs = 0, max_rel = 0, cosine = 0;
  double top1 = 0;  // share of clips with the same first class; reported, not judged
};

// The tolerance of a precision; nullptr where there is none of that name.
const Tolerance* find_tolerance(const std::string& precision);

bool all_finite(const Array& array);

// Both (B, classes). Throws kParityFailed where the shapes differ.
Agreement compare_logits(const Array& reference, const Array& other);

bool within(const Agreement& agreement, const Tolerance& tolerance);

// "max difference 1.2e-03 (relative 8.0e-04, at most 3.0e-02), cosine 0.9999990, same first class 100%"
std::string describe(const Agreement& agreement, const Tolerance& tolerance);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_COMPARISON_H
