#include "statistics.h"

#include <algorithm>
#include <numeric>

namespace vmexport::runner {
namespace {

double percentile(const std::vector<double>& sorted, double fraction) {
  const double position = fraction * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(position), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Latency summarise(std::vector<double> samples_ms) {
  std::sort(samples_ms.begin(), samples_ms.end());
  Latency latency;
  latency.runs = static_cast<int>(samples_ms.size());
  latency.median_ms = percentile(samples_ms, 0.5);
  latency.p90_ms = percentile(samples_ms, 0.9);
  latency.p99_ms = percentile(samples_ms, 0.99);
  latency.min_ms = samples_ms.front();
  latency.mean_ms = std::accumulate(samples_ms.begin(), samples_ms.end(), 0.0) / latency.runs;
  return latency;
}

}  // namespace vmexport::runner
