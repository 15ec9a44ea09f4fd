#include "comparison.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "error.h"

namespace vmexport::runner {
namespace {

constexpr double kSmallestScale = 1e-6;  // logits below it count as zero: a head of zeros does not divide by zero

// Two rows of zeros agree; a row of zeros and another do not.
double cosine_of(const float* a, const float* b, size_t classes) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < classes; ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  if (aa == 0 && bb == 0) return 1;
  return aa == 0 || bb == 0 ? 0 : dot / (std::sqrt(aa) * std::sqrt(bb));
}

}  // namespace

const Tolerance* find_tolerance(const std::string& precision) {
  for (const Tolerance& tolerance : kTolerances)
    if (tolerance.name == precision) return &tolerance;
  return nullptr;
}

bool all_finite(const Array& array) {
  return std::all_of(array.data.begin(), array.data.end(), [](float x) { return std::isfinite(x); });
}

Agreement compare_logits(const Array& reference, const Array& other) {
  if (reference.shape != other.shape)
    throw Error(Exit::kParityFailed, "the logits have another shape than the expected ones",
                "expected " + shape_text(reference.shape) + ", got " + shape_text(other.shape),
                "give the logits of the same clips and the same model");
  Agreement agreement;
  agreement.finite = all_finite(reference) && all_finite(other);
  if (!agreement.finite) return agreement;
  const size_t clips = static_cast<size_t>(reference.shape[0]), classes = static_cast<size_t>(reference.shape[1]);
  double largest = 0, same = 0;
  agreement.cosine = 1;
  for (size_t clip = 0; clip < clips; ++clip) {
    const float *a = reference.data.data() + clip * classes, *b = other.data.data() + clip * classes;
    for (size_t i = 0; i < classes; ++i) {
      agreement.max_abs = std::max(agreement.max_abs, std::fabs(static_cast<double>(a[i]) - b[i]));
      largest = std::max(largest, std::fabs(static_cast<double>(a[i])));
    }
    agreement.cosine = std::min(agreement.cosine, cosine_of(a, b, classes));
    same += std::max_element(a, a + classes) - a == std::max_element(b, b + classes) - b;
  }
  agreement.max_rel = agreement.max_abs / std::max(kSmallestScale, largest);
  agreement.top1 = same / static_cast<double>(clips);
  return agreement;
}

bool within(const Agreement& agreement, const Tolerance& tolerance) {
  return agreement.finite && agreement.max_rel <= tolerance.relative && agreement.cosine >= tolerance.cosine;
}

std::string describe(const Agreement& agreement, const Tolerance& tolerance) {
  if (!agreement.finite) return "a logit is NaN or infinite";
  char text[240];
  std::snprintf(
      text, sizeof text,
      "max difference %.2e, relative %.2e (at most %.2e), cosine %.7f (at least %.7f), same first class %.0f%%",
      agreement.max_abs, agreement.max_rel, tolerance.relative, agreement.cosine, tolerance.cosine,
      100 * agreement.top1);
  return text;
}

}  // namespace vmexport::runner
