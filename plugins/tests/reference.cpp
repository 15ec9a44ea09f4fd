#include "reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace reference {

std::vector<int64_t> visits(int32_t code, int64_t length, const vmexport_token_order& order) {
  std::vector<int64_t> tokens(length);
  std::iota(tokens.begin(), tokens.end(), int64_t{0});
  if (code == VMEXPORT_FORWARD) return tokens;
  std::rotate(tokens.begin(), tokens.begin() + order.class_token, tokens.end());  // class token last
  const auto patches_end = tokens.end() - order.class_token;
  if (code != VMEXPORT_SPATIAL) std::reverse(tokens.begin(), patches_end);
  if (code != VMEXPORT_SPATIOTEMPORAL) {
    for (auto frame = tokens.begin(); frame != patches_end; frame += order.tokens_per_frame) {
      std::reverse(frame, frame + order.tokens_per_frame);
    }
  }
  return tokens;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double silu(double x) { return x * sigmoid(x); }
double silu_slope(double x) { return sigmoid(x) * (1 + x * (1 - sigmoid(x))); }

std::vector<double> scan(const Sizes& n, const vmexport_token_order& order, bool softplus, double scale,
                         const ScanInputs& in, std::vector<double>* last_state) {
  std::vector<double> y(n.batch * n.length * n.channels, 0.0);
  last_state->assign(n.directions * n.batch * n.channels * n.states, 0.0);
  for (int64_t s = 0; s < n.directions; ++s) {
    const std::vector<int64_t> tokens = visits(order.orders[s], n.length, order);
    for (int64_t b = 0; b < n.batch; ++b) {
      for (int64_t c = 0; c < n.channels; ++c) {
        double* h = last_state->data() + ((s * n.batch + b) * n.channels + c) * n.states;
        for (const int64_t i : tokens) {
          const int64_t row = (s * n.batch + b) * n.length + i;
          double delta = in.delta[row * n.channels + c] + (in.bias.empty() ? 0 : in.bias[s * n.channels + c]);
          if (softplus) delta = delta > 20 ? delta : std::log1p(std::exp(delta));
          const double u = in.u[row * n.channels + c];
          const double* const bc = in.bc.data() + row * 2 * n.states;
          double sum = in.d.empty() ? 0 : in.d[s * n.channels + c] * u;
          for (int64_t k = 0; k < n.states; ++k) {
            h[k] = std::exp(delta * in.a[(s * n.channels + c) * n.states + k]) * h[k] + delta * bc[k] * u;
            sum += bc[n.states + k] * h[k];
          }
          y[(b * n.length + i) * n.channels + c] += sum;
        }
      }
    }
  }
  for (size_t i = 0; i < y.size(); ++i) y[i] *= scale * (in.z.empty() ? 1 : silu(in.z[i]));
  return y;
}

std::vector<double> conv(const Sizes& n, const vmexport_token_order& order, const std::vector<double>& x,
                         const std::vector<double>& weight, const std::vector<double>& bias) {
  std::vector<double> u(n.directions * n.batch * n.length * n.channels);
  for (int64_t s = 0; s < n.directions; ++s) {
    const std::vector<int64_t> tokens = visits(order.orders[s], n.length, order);
    for (int64_t b = 0; b < n.batch; ++b) {
      for (int64_t t = 0; t < n.length; ++t) {
        for (int64_t c = 0; c < n.channels; ++c) {
          double sum = bias.empty() ? 0 : bias[s * n.channels + c];
          for (int64_t k = 0; k < n.taps; ++k) {
            const int64_t step = t - (n.taps - 1) + k;
            if (step < 0) continue;
            sum += weight[(s * n.channels + c) * n.taps + k] * x[(b * n.length + tokens[step]) * n.channels + c];
          }
          u[((s * n.batch + b) * n.length + tokens[t]) * n.channels + c] = silu(sum);
        }
      }
    }
  }
  return u;
}

}  // namespace reference
