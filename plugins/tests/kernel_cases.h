// The cases of both operators, shared by every kernel: sizes that are awkward on purpose, buffers exactly as large as
// an operator may touch (a sanitizer sees one element too far), one tolerance, one comparison.
#ifndef VMEXPORT_TESTS_KERNEL_CASES_H
#define VMEXPORT_TESTS_KERNEL_CASES_H

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "../scan/params.h"
#include "reference.h"

namespace cases {

using reference::Sizes;

struct Case {
  const char* name;
  Sizes sizes;
  std::vector<int32_t> orders;
  int64_t tokens_per_frame;
  int32_t class_token;
  bool softplus, skip, bias, gate;
  int64_t padding;  // extra elements between rows
  int32_t threads;  // of the CPU kernels; 3: through an executor
  float scale;
};

extern const std::vector<Case> kCases;
// Those of kCases that VMEXPORT_LARGEST_CASE allows, all where it is not set: a number of state updates (S B L D N),
// for emulated processors, which need minutes for the largest.
std::vector<Case> cases_to_run();
extern const char* const kDtypes[3];

// Counts and prints a failure where `holds` is false.
void expect(bool holds, const std::string& what);
int failures();
// From now on the first failure ends the process.
void stop_at_first_failure();

// A tensor of rows as the kernel reads it (dtype, padded rows) and as the reference reads it (double).
struct Tensor {
  int32_t dtype;
  int64_t row, stride;
  std::vector<unsigned char> bytes;
  std::vector<double> values;

  Tensor(int32_t type, int64_t rows, int64_t width, int64_t padding);
  void set(int64_t index, double value);
  double get(int64_t index) const;
  const float* floats() const { return reinterpret_cast<const float*>(bytes.data()); }
};

vmexport_token_order order_of(const Case& test);
int64_t sequences(const Case& test);  // rows of a (S, B, L, .) tensor
// Direction, batch, token of a (S, B, L, .) tensor.
void strides3(int64_t* strides, const Sizes& sizes, const Tensor& tensor);

struct Random {
  std::mt19937 engine{7};
  std::normal_distribution<double> normal;
  void fill(Tensor& tensor, double mean, double deviation) {
    for (size_t i = 0; i < tensor.values.size(); ++i) {
      tensor.set(static_cast<int64_t>(i), mean + deviation * normal(engine));
    }
  }
};

// Finite first, then within the tolerance of its dtype, times `slack`, of the largest expected value.
void compare(const std::string& what, const Tensor& got, const std::vector<double>& expected, double slack = 1);

using ScanKernel = std::function<vmexport_status(const vmexport_scan_params&, char* message)>;
using ConvKernel = std::function<vmexport_status(const vmexport_conv_params&, char* message)>;

// One call of the scan with its own random inputs.
struct ScanRun {
  Tensor u, delta, a, bc, d, bias, z, y;
  std::vector<float> state;
  vmexport_scan_params params{};

  ScanRun(const Case& test, int32_t dtype);
  // The inputs that this case has, as the reference reads them.
  reference::ScanInputs inputs(const Case& test) const;
  // Run `kernel` and compare y and, where it is asked for, the last state with the reference.
  void check(const Case& test, const std::string& name, const ScanKernel& kernel);
};

// One call of the convolution with its own random inputs.
struct ConvRun {
  Tensor x, weight, bias, u;
  vmexport_conv_params params{};

  ConvRun(const Case& test, int32_t dtype);
};

void check_conv(const Case& test, int32_t dtype, const std::string& name, const ConvKernel& kernel);

// What every scan kernel must refuse, with words of the message; and what it must accept: an empty batch.
void check_refusals(const ScanKernel& kernel);

}  // namespace cases

#endif  // VMEXPORT_TESTS_KERNEL_CASES_H
