#include "validate.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace vmexport {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 48;  // beyond any memory, far inside 64 bits in every product

struct Checker {
  char* message;
  vmexport_status status = VMEXPORT_OK;

  // Record the first failure only.
  __attribute__((format(printf, 3, 4))) void require(bool holds, const char* format, ...) noexcept {
    if (holds || status != VMEXPORT_OK) return;
    status = VMEXPORT_INVALID_ARGUMENT;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message, VMEXPORT_MESSAGE_SIZE, format, arguments);
    va_end(arguments);
  }

  template <class Params>
  void struct_size(const Params& p) noexcept {
    require(p.struct_size == sizeof p, "struct_size: expected %zu, got %u (header and library differ)", sizeof p,
            p.struct_size);
  }

  // What the parameter structs of both operators begin with.
  template <class Params>
  void header(const Params& p) noexcept {
    struct_size(p);
    dtype(p.dtype);
    range("channels (D)", p.channels, 1, INT32_MAX);
  }

  void pointer(const void* data, const char* name, bool empty) noexcept {
    require(data != nullptr || empty, "%s: expected data, got a null pointer", name);
  }

  void unless_absent(const void* gradient, const void* tensor, const char* name) noexcept {
    require(gradient == nullptr || tensor != nullptr, "%s: expected a null pointer, because its tensor is absent",
            name);
  }

  void range(const char* name, int64_t value, int64_t low, int64_t high) noexcept {
    require(value >= low && value <= high, "%s: expected %lld to %lld, got %lld", name, static_cast<long long>(low),
            static_cast<long long>(high), static_cast<long long>(value));
  }

  void dtype(int32_t code) noexcept {
    require(code >= VMEXPORT_FLOAT32 && code <= VMEXPORT_BFLOAT16,
            "dtype: expected 0 (float32), 1 (float16) or 2 (bfloat16), got %d", code);
  }

  // `strides` are direction, batch, token or batch, token; a row holds `row` contiguous elements.
  void strides(const char* name, const int64_t* strides, int count, int64_t row, int64_t length) noexcept {
    const int64_t token = strides[count - 1];
    require(length <= 1 || token >= row || token <= -row,
            "%s: expected a token stride of at least %lld elements (contiguous channels), got %lld", name,
            static_cast<long long>(row), static_cast<long long>(token));
  }

  void sizes(int64_t directions, int64_t batch, int64_t length, int64_t row) noexcept {
    range("batch", batch, 0, INT32_MAX);
    range("length", length, 0, INT64_MAX >> 16);
    if (status != VMEXPORT_OK || batch == 0 || length == 0) return;
    require(directions * batch <= kMaxElements / length / row, "sizes: %lld x %lld x %lld x %lld is too large",
            static_cast<long long>(directions), static_cast<long long>(batch), static_cast<long long>(length),
            static_cast<long long>(row));
  }

  void order(const vmexport_token_order& order, int64_t length) noexcept {
    range("directions", order.directions, 1, VMEXPORT_MAX_DIRECTIONS);
    require(order.class_token == 0 || order.class_token == 1, "class_token: expected 0 or 1, got %d",
            order.class_token);
    require(length >= order.class_token, "length (L): expected at least 1, the class token, got %lld",
            static_cast<long long>(length));
    for (int32_t s = 0; s < order.directions && status == VMEXPORT_OK; ++s) {
      const int32_t code = order.orders[s];
      require(code >= VMEXPORT_FORWARD && code <= VMEXPORT_TEMPORAL,
              "directions[%d]: expected 0 (forward), 1 (spatiotemporal), 2 (spatial) or 3 (temporal), got %d", s, code);
      if (code != VMEXPORT_SPATIAL && code != VMEXPORT_TEMPORAL) continue;
      const int64_t patches = length - order.class_token;
      require(order.tokens_per_frame >= 1 && (length == 0 || patches % order.tokens_per_frame == 0),
              "tokens_per_frame: expected a divisor of the %lld patch tokens, got %lld",
              static_cast<long long>(patches), static_cast<long long>(order.tokens_per_frame));
    }
  }
};

}  // namespace

vmexport_status validate_sizes(const vmexport_scan_params& p, char* message) noexcept {
  Checker check{message};
  check.header(p);
  check.range("states (N)", p.states, 1, VMEXPORT_MAX_STATES);
  if (check.status == VMEXPORT_OK) check.order(p.order, p.length);
  if (check.status == VMEXPORT_OK) {
    check.sizes(p.order.directions, p.batch, p.length, p.channels > 2 * p.states ? p.channels : 2 * p.states);
  }
  return check.status;
}

vmexport_status validate_sizes(const vmexport_conv_params& p, char* message) noexcept {
  Checker check{message};
  check.header(p);
  check.range("taps (K)", p.taps, 1, VMEXPORT_MAX_TAPS);
  if (check.status == VMEXPORT_OK) check.order(p.order, p.length);
  if (check.status == VMEXPORT_OK) check.sizes(p.order.directions, p.batch, p.length, p.channels);
  return check.status;
}

namespace {

// The forward call without its result, which a backward call does not need.
vmexport_status validate_inputs(const vmexport_scan_params& p, char* message) noexcept {
  Checker check{message, validate_sizes(p, message)};
  if (check.status != VMEXPORT_OK) return check.status;
  const bool empty = p.batch == 0 || p.length == 0;
  check.require(std::isfinite(p.scale), "scale: expected a finite number, got %f", static_cast<double>(p.scale));
  check.pointer(p.u, "u", empty);
  check.pointer(p.delta, "delta", empty);
  check.pointer(p.a, "A", empty);
  check.pointer(p.bc, "BC", empty);
  check.strides("u", p.u_stride, 3, p.channels, p.length);
  check.strides("delta", p.delta_stride, 3, p.channels, p.length);
  check.strides("BC", p.bc_stride, 3, 2 * p.states, p.length);
  if (p.z != nullptr) check.strides("z", p.z_stride, 2, p.channels, p.length);
  return check.status;
}

vmexport_status validate_inputs(const vmexport_conv_params& p, char* message) noexcept {
  Checker check{message, validate_sizes(p, message)};
  if (check.status != VMEXPORT_OK) return check.status;
  const bool empty = p.batch == 0 || p.length == 0;
  check.pointer(p.x, "x", empty);
  check.pointer(p.weight, "weight", empty);
  check.strides("x", p.x_stride, 2, p.channels, p.length);
  return check.status;
}

}  // namespace

vmexport_status validate(const vmexport_scan_params& p, char* message) noexcept {
  Checker check{message, validate_inputs(p, message)};
  check.pointer(p.y, "y", p.batch == 0 || p.length == 0);
  check.strides("y", p.y_stride, 2, p.channels, p.length);
  return check.status;
}

vmexport_status validate(const vmexport_conv_params& p, char* message) noexcept {
  Checker check{message, validate_inputs(p, message)};
  check.pointer(p.u, "u", p.batch == 0 || p.length == 0);
  check.strides("u", p.u_stride, 3, p.channels, p.length);
  return check.status;
}

vmexport_status validate(const vmexport_scan_backward_params& p, char* message) noexcept {
  Checker check{message};
  check.struct_size(p);
  if (check.status != VMEXPORT_OK) return check.status;
  check.status = validate_inputs(p.scan, message);
  const vmexport_scan_params& scan = p.scan;
  check.pointer(p.grad_y, "grad_y", scan.batch == 0 || scan.length == 0);
  check.strides("grad_y", p.grad_y_stride, 2, scan.channels, scan.length);
  if (p.grad_u != nullptr) check.strides("grad_u", p.grad_u_stride, 3, scan.channels, scan.length);
  if (p.grad_delta != nullptr) check.strides("grad_delta", p.grad_delta_stride, 3, scan.channels, scan.length);
  if (p.grad_bc != nullptr) check.strides("grad_BC", p.grad_bc_stride, 3, 2 * scan.states, scan.length);
  if (p.grad_z != nullptr) check.strides("grad_z", p.grad_z_stride, 2, scan.channels, scan.length);
  check.unless_absent(p.grad_d, scan.d, "grad_D");
  check.unless_absent(p.grad_delta_bias, scan.delta_bias, "grad_delta_bias");
  check.unless_absent(p.grad_z, scan.z, "grad_z");
  return check.status;
}

vmexport_status validate(const vmexport_conv_backward_params& p, char* message) noexcept {
  Checker check{message};
  check.struct_size(p);
  if (check.status != VMEXPORT_OK) return check.status;
  check.status = validate_inputs(p.conv, message);
  const vmexport_conv_params& conv = p.conv;
  check.pointer(p.grad_u, "grad_u", conv.batch == 0 || conv.length == 0);
  check.strides("grad_u", p.grad_u_stride, 3, conv.channels, conv.length);
  if (p.grad_x != nullptr) check.strides("grad_x", p.grad_x_stride, 2, conv.channels, conv.length);
  check.unless_absent(p.grad_bias, conv.bias, "grad_bias");
  return check.status;
}

}  // namespace vmexport
