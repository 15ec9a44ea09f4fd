// Summary of latencies.
#ifndef VMEXPORT_RUNNER_STATISTICS_H
#define VMEXPORT_RUNNER_STATISTICS_H

#include <vector>

namespace vmexport::runner {

struct Latency {
  int runs = 0;
  double median_ms = 0, p90_ms = 0, p99_ms = 0, min_ms = 0, mean_ms = 0;
};

// Percentiles are interpolated linearly between the two nearest runs, as numpy.percentile does. At least one sample.
Latency summarise(std::vector<double> samples_ms);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_STATISTICS_H
