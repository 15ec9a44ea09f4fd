// Gradients of both operators in double precision, every state kept: what the backward kernels are tested against.
#ifndef VMEXPORT_TESTS_REFERENCE_BACKWARD_H
#define VMEXPORT_TESTS_REFERENCE_BACKWARD_H

#include "reference.h"

namespace reference {

// Gradients in the layout of their tensors; those of absent tensors mean nothing.
struct ScanGradients {
  std::vector<double> u, delta, a, bc, d, bias, z;
};
struct ConvGradients {
  std::vector<double> x, weight, bias;
};

// `grad_y` (B, L, D); `grad_state` (S, B, D, N), empty for zero.
ScanGradients scan_backward(const Sizes& sizes, const vmexport_token_order& order, bool softplus, double scale,
                            const ScanInputs& in, const std::vector<double>& grad_y,
                            const std::vector<double>& grad_state);

// `grad_u` (S, B, L, D).
ConvGradients conv_backward(const Sizes& sizes, const vmexport_token_order& order, const std::vector<double>& x,
                            const std::vector<double>& weight, const std::vector<double>& bias,
                            const std::vector<double>& grad_u);

}  // namespace reference

#endif  // VMEXPORT_TESTS_REFERENCE_BACKWARD_H
