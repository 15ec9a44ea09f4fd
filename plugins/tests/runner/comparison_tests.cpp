// Agreement of logits, and the statistics of latencies.
#include <cmath>
#include <limits>

#include "../../runner/comparison.h"
#include "../../runner/report.h"
#include "../../runner/statistics.h"
#include "checks.h"

namespace checks {
namespace {

using vmexport::runner::Agreement;
using vmexport::runner::Array;
using vmexport::runner::compare_logits;
using vmexport::runner::Exit;
using vmexport::runner::find_tolerance;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

bool near(double a, double b) { return std::fabs(a - b) <= 1e-12 * std::fmax(1, std::fabs(b)); }

void test_agreement() {
  const Array reference{{2, 3}, {1, 2, -4, 0, 0, 0}};
  const Agreement same = compare_logits(reference, reference);
  expect(same.finite && same.max_abs == 0 && near(same.cosine, 1) && same.top1 == 1, "the same");
  const Array other{{2, 3}, {3, 2, -4, 0, 0, 0}};
  const Agreement apart = compare_logits(reference, other);
  expect(near(apart.max_abs, 2) && near(apart.max_rel, 0.5) && apart.top1 == 0.5, "difference over the largest logit");
  expect(near(apart.cosine, 23 / (std::sqrt(21.0) * std::sqrt(29.0))), "cosine of the worst clip");
  expect(compare_logits(reference, {{2, 3}, {1, 2, -4, 0, 1, 0}}).cosine == 0, "zeros and another row do not agree");
  for (const float bad : {kNan, std::numeric_limits<float>::infinity()}) {
    const Array broken{{2, 3}, {bad, 2, -4, 0, 0, 0}};
    for (const Agreement& agreement :
         {compare_logits(reference, broken), compare_logits(broken, reference), compare_logits(broken, broken)})
      expect(!agreement.finite && !within(agreement, *find_tolerance("bf16")), "NaN or infinity never passes");
  }
  refused(Exit::kParityFailed, "(3, 2)", "shapes", [&] { compare_logits(reference, {{3, 2}, {1, 2, 3, 4, 5, 6}}); });
}

void test_tolerances() {
  expect(find_tolerance("fp8") == nullptr && find_tolerance("fp16")->relative > find_tolerance("fp32")->relative,
         "table");
  Agreement agreement{true, 1, 1e-4, 0.999999, 0};
  expect(within(agreement, *find_tolerance("fp32")), "on the limit");
  agreement.max_rel = 1.001e-4;
  expect(!within(agreement, *find_tolerance("fp32")), "beyond the limit");
  agreement.max_rel = 0;
  agreement.cosine = 0.99999;
  expect(!within(agreement, *find_tolerance("fp32")), "another direction");
  agreement.max_rel = kNan;
  expect(!within(agreement, *find_tolerance("bf16")), "NaN is within nothing");
}

void test_statistics() {
  const auto latency = vmexport::runner::summarise({5, 1, 4, 2, 3});
  expect(latency.runs == 5 && latency.median_ms == 3 && latency.min_ms == 1 && latency.mean_ms == 3, "five");
  expect(near(latency.p90_ms, 4.6) && near(latency.p99_ms, 4.96), "interpolated as numpy.percentile does");
  const auto one = vmexport::runner::summarise({7});
  expect(one.median_ms == 7 && one.p99_ms == 7, "one");
  expect(vmexport::runner::summarise({1, 2}).median_ms == 1.5, "two");
}

void test_report() {
  vmexport::runner::Report report;
  report.library = "TensorRT 10.3.0";
  report.model = "model.engine";
  report.batch = 2;
  report.clips = "clip.npy";
  report.logits = {{2, 3}, {1, 3, 2, 9, 8, 7}};
  const std::string unproven = report_text(report);
  expect(unproven.find("1, 0") != std::string::npos && unproven.find("not compared") != std::string::npos, unproven);
  expect(unproven.find(" ms") == std::string::npos && unproven.find("clips/s") == std::string::npos, "no figure");
  report.tolerance = *find_tolerance("fp16");
  report.agreement = Agreement{true, 1e-3, 2e-3, 0.99999, 1};
  report.compute = vmexport::runner::summarise({2});
  report.with_transfers = vmexport::runner::summarise({4});
  report.cuda_graph = true;
  const std::string text = report_text(report), json = report_json(report);
  expect(text.find("1000.0 (batch") != std::string::npos && text.find("CUDA graph") != std::string::npos, text);
  expect(json.find("\"clips_per_second\": 1000,") != std::string::npos, json);
  expect(json.find("\"tolerance\": \"fp16\"") != std::string::npos, json);
}

}  // namespace

void test_comparison() {
  test_agreement();
  test_tolerances();
  test_statistics();
  test_report();
}

}  // namespace checks
