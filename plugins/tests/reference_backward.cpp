#include "reference_backward.h"

#include <cmath>

namespace reference {
namespace {

// One channel of one sequence in one direction.
struct Line {
  const Sizes& n;
  const ScanInputs& in;
  int64_t s, b, c;
  std::vector<int64_t> tokens;
  bool softplus;

  int64_t row(int64_t t) const { return (s * n.batch + b) * n.length + tokens[t]; }
  int64_t parameter() const { return s * n.channels + c; }
  double u(int64_t t) const { return in.u[row(t) * n.channels + c]; }
  double raw(int64_t t) const {
    return in.delta[row(t) * n.channels + c] + (in.bias.empty() ? 0 : in.bias[parameter()]);
  }
  double delta(int64_t t) const { return softplus ? (raw(t) > 30 ? raw(t) : std::log1p(std::exp(raw(t)))) : raw(t); }
  double a(int64_t k) const { return in.a[parameter() * n.states + k]; }
  double b_at(int64_t t, int64_t k) const { return in.bc[row(t) * 2 * n.states + k]; }
  double c_at(int64_t t, int64_t k) const { return in.bc[row(t) * 2 * n.states + n.states + k]; }
};

// Gradients of one state of one line; `grad` is that of the line's scan, `carry` that of the last state. Adds the
// state's part of the scan to `scans`.
void state_backward(const Line& line, int64_t k, const std::vector<double>& grad, double carry, ScanGradients& out,
                    std::vector<double>& scans) {
  const Sizes& n = line.n;
  std::vector<double> h(n.length + 1, 0.0);
  for (int64_t t = 0; t < n.length; ++t) {
    h[t + 1] = std::exp(line.delta(t) * line.a(k)) * h[t] + line.delta(t) * line.b_at(t, k) * line.u(t);
    scans[t] += line.c_at(t, k) * h[t + 1];
  }
  for (int64_t t = n.length - 1; t >= 0; --t) {
    const int64_t at = line.row(t) * n.channels + line.c, bc = line.row(t) * 2 * n.states + k;
    const double through = carry + grad[t] * line.c_at(t, k);
    const double decay = std::exp(line.delta(t) * line.a(k));
    out.bc[bc + n.states] += grad[t] * h[t + 1];
    out.bc[bc] += through * line.delta(t) * line.u(t);
    out.u[at] += through * line.delta(t) * line.b_at(t, k);
    const double slope = line.softplus ? sigmoid(line.raw(t)) : 1;
    const double grad_raw = (through * decay * h[t] * line.a(k) + through * line.b_at(t, k) * line.u(t)) * slope;
    out.delta[at] += grad_raw;
    out.bias[line.parameter()] += grad_raw;
    out.a[line.parameter() * n.states + k] += through * decay * h[t] * line.delta(t);
    carry = through * decay;
  }
}

}  // namespace

ScanGradients scan_backward(const Sizes& n, const vmexport_token_order& order, bool softplus, double scale,
                            const ScanInputs& in, const std::vector<double>& grad_y,
                            const std::vector<double>& grad_state) {
  const auto zeros = [](const std::vector<double>& like) { return std::vector<double>(like.size(), 0.0); };
  const std::vector<double> parameters(n.directions * n.channels, 0.0);
  ScanGradients out{zeros(in.u), zeros(in.delta), zeros(in.a), zeros(in.bc), parameters, parameters, zeros(grad_y)};
  for (int64_t s = 0; s < n.directions; ++s) {
    for (int64_t b = 0; b < n.batch; ++b) {
      for (int64_t c = 0; c < n.channels; ++c) {
        const Line line{n, in, s, b, c, visits(order.orders[s], n.length, order), softplus};
        std::vector<double> grad(n.length), scans(n.length, 0.0);
        const double skip = in.d.empty() ? 0 : in.d[line.parameter()];
        const auto outer = [&](int64_t t) { return (b * n.length + line.tokens[t]) * n.channels + c; };
        for (int64_t t = 0; t < n.length; ++t) {
          grad[t] = grad_y[outer(t)] * scale * (in.z.empty() ? 1 : silu(in.z[outer(t)]));
          scans[t] = skip * line.u(t);
          out.u[line.row(t) * n.channels + c] += skip * grad[t];
          out.d[line.parameter()] += grad[t] * line.u(t);
        }
        for (int64_t k = 0; k < n.states; ++k) {
          const int64_t state = ((s * n.batch + b) * n.channels + c) * n.states + k;
          state_backward(line, k, grad, grad_state.empty() ? 0 : grad_state[state], out, scans);
        }
        if (in.z.empty()) continue;
        for (int64_t t = 0; t < n.length; ++t) {
          out.z[outer(t)] += grad_y[outer(t)] * scale * scans[t] * silu_slope(in.z[outer(t)]);
        }
      }
    }
  }
  return out;
}

ConvGradients conv_backward(const Sizes& n, const vmexport_token_order& order, const std::vector<double>& x,
                            const std::vector<double>& weight, const std::vector<double>& bias,
                            const std::vector<double>& grad_u) {
  ConvGradients out{std::vector<double>(x.size(), 0.0), std::vector<double>(weight.size(), 0.0),
                    std::vector<double>(n.directions * n.channels, 0.0)};
  for (int64_t s = 0; s < n.directions; ++s) {
    const std::vector<int64_t> tokens = visits(order.orders[s], n.length, order);
    for (int64_t b = 0; b < n.batch; ++b) {
      for (int64_t t = 0; t < n.length; ++t) {
        for (int64_t c = 0; c < n.channels; ++c) {
          const auto tap = [&](int64_t k) { return (s * n.channels + c) * n.taps + k; };
          const auto input = [&](int64_t k) { return (b * n.length + tokens[t - (n.taps - 1) + k]) * n.channels + c; };
          const int64_t first = t < n.taps - 1 ? n.taps - 1 - t : 0;  // earlier taps meet zeros
          double sum = bias.empty() ? 0 : bias[s * n.channels + c];
          for (int64_t k = first; k < n.taps; ++k) sum += weight[tap(k)] * x[input(k)];
          const double grad = grad_u[((s * n.batch + b) * n.length + tokens[t]) * n.channels + c] * silu_slope(sum);
          out.bias[s * n.channels + c] += grad;
          for (int64_t k = first; k < n.taps; ++k) {
            out.weight[tap(k)] += grad * x[input(k)];
            out.x[input(k)] += grad * weight[tap(k)];
          }
        }
      }
    }
  }
  return out;
}

}  // namespace reference
