// Plain double-precision definitions of both operators: what the kernels are tested against.
#ifndef VMEXPORT_TESTS_REFERENCE_H
#define VMEXPORT_TESTS_REFERENCE_H

#include <cstdint>
#include <vector>

#include "../scan/params.h"

namespace reference {

struct Sizes {
  int64_t directions, batch, length, channels, states, taps;
};

// Every tensor as double, contiguous, in the layout of params.h; an empty vector stands for null.
struct ScanInputs {
  std::vector<double> u, delta, a, bc, d, bias, z;
};

// Returns y (B, L, D); `last_state` becomes (S, B, D, N).
std::vector<double> scan(const Sizes& sizes, const vmexport_token_order& order, bool softplus, double scale,
                         const ScanInputs& in, std::vector<double>* last_state);

// The visiting order by moving lists around, on purpose another way than plugins/scan/order.h.
std::vector<int64_t> visits(int32_t code, int64_t length, const vmexport_token_order& order);

double silu(double x);
double sigmoid(double x);
double silu_slope(double x);

// Returns u (S, B, L, D).
std::vector<double> conv(const Sizes& sizes, const vmexport_token_order& order, const std::vector<double>& x,
                         const std::vector<double>& weight, const std::vector<double>& bias);

}  // namespace reference

#endif  // VMEXPORT_TESTS_REFERENCE_H
