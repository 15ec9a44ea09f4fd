#include "shapes.h"

#include <cstdio>

#include "validate.h"

namespace vmexport {
namespace {

constexpr size_t kShapeText = 96;

// Whether no product of the sizes can leave 64 bits, whatever they are.
template <int Rank>
bool fits(const int64_t (&dims)[Rank]) noexcept {
  int64_t volume = 1;
  for (const int64_t dim : dims) {
    if (dim < 0 || dim > kMaxElements / volume) return false;
    volume *= dim > 0 ? dim : 1;
  }
  return true;
}

// "(2, 1, 1569, 768)"
void print_shape(const int64_t* dims, int64_t rank, char (&text)[kShapeText]) noexcept {
  size_t used = static_cast<size_t>(std::snprintf(text, kShapeText, "("));
  for (int64_t i = 0; i < rank && i < kMaxRank && used < kShapeText; ++i) {
    used += static_cast<size_t>(
        std::snprintf(text + used, kShapeText - used, i > 0 ? ", %lld" : "%lld", static_cast<long long>(dims[i])));
  }
  if (used < kShapeText) std::snprintf(text + used, kShapeText - used, rank > kMaxRank ? ", ...)" : ")");
}

struct Checker {
  char* message;
  bool ok = true;

  // `letters` names the axes, "(S, B, L, D)"; the first failure is the one that is told.
  template <int Rank>
  void expect(const Tensor& tensor, const char* letters, const int64_t (&dims)[Rank]) noexcept {
    static_assert(Rank <= kMaxRank, "more axes than a Tensor holds");
    bool same = tensor.rank == Rank;
    for (int i = 0; i < Rank && same; ++i) same = tensor.dims[i] == dims[i];
    if (!ok) return;
    ok = same && fits(dims);
    if (ok) return;
    char expected[kShapeText], got[kShapeText];
    if (same) {
      print_shape(dims, Rank, got);
      std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "%s: expected sizes of 0 or more and at most 2^48 elements, got %s",
                    tensor.name, got);
      return;
    }
    print_shape(dims, Rank, expected);
    print_shape(tensor.dims, tensor.rank, got);
    std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "%s: expected shape %s = %s, got %s", tensor.name, letters, expected,
                  got);
  }

  void expect_rank(const Tensor& tensor, const char* letters, int64_t rank) noexcept {
    if (tensor.rank == rank || !ok) return;
    ok = false;
    char got[kShapeText];
    print_shape(tensor.dims, tensor.rank, got);
    std::snprintf(message, VMEXPORT_MESSAGE_SIZE, "%s: expected %lld axes %s, got shape %s", tensor.name,
                  static_cast<long long>(rank), letters, got);
  }
};

void contiguous(int64_t batch, int64_t length, int64_t row, int64_t (&strides)[3]) noexcept {
  strides[0] = batch * length * row;
  strides[1] = length * row;
  strides[2] = row;
}

void contiguous(int64_t length, int64_t row, int64_t (&strides)[2]) noexcept {
  strides[0] = length * row;
  strides[1] = row;
}

}  // namespace

bool fill_scan(const Tensor (&in)[kScanInputs], vmexport_scan_params* params, char* message) noexcept {
  vmexport_scan_params& p = *params;
  const int64_t S = p.order.directions;
  Checker check{message};
  check.expect_rank(in[kU], "(S, B, L, D)", 4);
  check.expect_rank(in[kA], "(S, D, N)", 3);
  if (!check.ok) return false;
  const int64_t B = in[kU].dims[1], L = in[kU].dims[2], D = in[kU].dims[3], N = in[kA].dims[2];
  check.expect(in[kU], "(S, B, L, D)", {S, B, L, D});
  check.expect(in[kDelta], "(S, B, L, D)", {S, B, L, D});
  check.expect(in[kA], "(S, D, N)", {S, D, N});
  if (!check.ok) return false;
  check.expect(in[kBC], "(S, B, L, 2N)", {S, B, L, 2 * N});
  check.expect(in[kD], "(S, D)", {S, D});
  check.expect(in[kDeltaBias], "(S, D)", {S, D});
  check.expect(in[kZ], "(B, L, D)", {B, L, D});
  if (!check.ok) return false;
  p.batch = B;
  p.length = L;
  p.channels = D;
  p.states = N;
  p.u = in[kU].data;
  p.delta = in[kDelta].data;
  p.a = static_cast<const float*>(in[kA].data);
  p.bc = in[kBC].data;
  p.d = static_cast<const float*>(in[kD].data);
  p.delta_bias = static_cast<const float*>(in[kDeltaBias].data);
  p.z = in[kZ].data;
  contiguous(B, L, D, p.u_stride);
  contiguous(B, L, D, p.delta_stride);
  contiguous(B, L, 2 * N, p.bc_stride);
  contiguous(L, D, p.z_stride);
  contiguous(L, D, p.y_stride);
  return true;
}

bool fill_conv(const Tensor (&in)[kConvInputs], vmexport_conv_params* params, char* message) noexcept {
  vmexport_conv_params& p = *params;
  const int64_t S = p.order.directions;
  Checker check{message};
  check.expect_rank(in[kX], "(B, L, D)", 3);
  check.expect_rank(in[kWeight], "(S, D, K)", 3);
  if (!check.ok) return false;
  const int64_t B = in[kX].dims[0], L = in[kX].dims[1], D = in[kX].dims[2], K = in[kWeight].dims[2];
  check.expect(in[kX], "(B, L, D)", {B, L, D});
  check.expect(in[kWeight], "(S, D, K)", {S, D, K});
  check.expect(in[kBias], "(S, D)", {S, D});
  if (!check.ok) return false;
  p.batch = B;
  p.length = L;
  p.channels = D;
  p.taps = K;
  p.x = in[kX].data;
  p.weight = static_cast<const float*>(in[kWeight].data);
  p.bias = static_cast<const float*>(in[kBias].data);
  contiguous(L, D, p.x_stride);
  contiguous(B, L, D, p.u_stride);
  return true;
}

}  // namespace vmexport
