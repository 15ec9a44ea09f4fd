// The vector functions of the tier that every machine of this architecture has, against double precision and against
// the scalar conversions: ranges, not samples, where the type is small enough.
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

#include "../scan/vector_math.h"

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
int failures = 0;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  if (++failures <= 20) std::printf("FAILED %s\n", what.c_str());
}

std::string at(const char* what, double x, double got, double expected) {
  char text[160];
  std::snprintf(text, sizeof text, "%s(%.9g) = %.9g, expected %.9g", what, x, got, expected);
  return text;
}

// Largest relative error of `function` over `points` points of [first, last] is at most `bound`.
template <class Function, class Exact>
void check_range(const char* what, float first, float last, double bound, Function function, Exact exact) {
  constexpr int64_t kPoints = 100000;
  double worst = 0, worst_at = 0;
  for (int64_t i = 0; i < kPoints; i += kLanes) {
    float in[kLanes], out[kLanes];
    for (int j = 0; j < kLanes; ++j) in[j] = first + (last - first) * static_cast<float>(i + j) / kPoints;
    store(out, function(load(in)));
    for (int j = 0; j < kLanes; ++j) {
      const double expected = exact(static_cast<double>(in[j]));
      const double error = std::fabs(out[j] - expected) / std::fabs(expected);
      if (!(error <= worst)) worst = error, worst_at = in[j];
    }
  }
  expect(worst <= bound, at(what, worst_at, worst, bound) + " at most (relative error)");
  std::printf("%s on [%g, %g]: relative error %.2e\n", what, first, last, worst);
}

template <class Function>
void check_value(const char* what, Function function, float x, float expected) {
  const float got = function(splat(0.0f) + x)[kLanes - 1];
  expect(std::isnan(expected) ? std::isnan(got) : got == expected, at(what, x, got, expected));
}

void check_exp2() {
  const auto any = [](vfloat x) { return exp2_of_product(x, splat(1.0f)); };
  const auto decay = [](vfloat x) { return exp2_of_product<Range::kNotPositive>(x, splat(1.0f)); };
  const auto exact = [](double x) { return std::exp2(x); };
  check_range("2^x", -1.0f, 1.0f, 2.5e-7, any, exact);
  check_range("2^x", kVanishes + 1.1f, 127.4f, 2.5e-7, any, exact);
  check_range("2^x, x <= 0", -1.0f, 0.0f, 2.5e-7, decay, exact);
  check_range("2^x, x <= 0", kVanishes + 1.1f, 0.0f, 2.5e-7, decay, exact);
  for (const float x : {0.0f, -0.0f, 1e-9f, -1e-9f, std::numeric_limits<float>::denorm_min()}) {
    check_value("2^x", any, x, 1.0f);
    if (!(x > 0)) check_value("2^x, x <= 0", decay, x, 1.0f);
  }
  for (const float x : {-128.0f, -200.0f, -256.0f, -257.0f, -1e9f, -3e38f, -kInfinity}) {
    check_value("2^x", any, x, 0.0f);
    check_value("2^x, x <= 0", decay, x, 0.0f);
  }
  for (const float x : {128.0f, 129.0f, 1e9f, 3e38f, kInfinity}) check_value("2^x", any, x, kInfinity);
  for (const float x : {kNan, -kNan}) {
    check_value("2^x", any, x, kNan);
    check_value("2^x, x <= 0", decay, x, kNan);
  }
  for (float x = kVanishes - 1; x <= kVanishes + 1; x += 0.001f) {  // the least results may be anything in between
    const float got = decay(splat(x))[0];
    expect(got >= 0 && got <= std::exp2(kVanishes + 1), at("2^x near underflow", x, got, std::exp2(x)));
  }
  check_value(
      "product that overflows", [](vfloat x) { return exp2_of_product<Range::kNotPositive>(x, splat(-1e20f)); }, 1e20f,
      0.0f);
}

void check_activations() {
  const auto softplus_ = [](vfloat x) { return softplus(x); };
  const auto silu_ = [](vfloat x) { return silu(x); };
  // Far from 0 the rounding of x log2(e) itself is the error.
  const auto softplus_exact = [](double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); };
  const auto silu_exact = [](double x) { return x / (1 + std::exp(-x)); };
  check_range("softplus", -80.0f, 80.0f, 5e-6, softplus_, softplus_exact);
  check_range("softplus", -8.0f, 8.0f, 8e-7, softplus_, softplus_exact);
  check_range("SiLU", -80.0f, -0.001f, 5e-6, silu_, silu_exact);
  check_range("SiLU", 0.001f, 80.0f, 2e-7, silu_, silu_exact);
  check_value("softplus", softplus_, kInfinity, kInfinity);
  check_value("softplus", softplus_, -kInfinity, 0.0f);
  check_value("softplus", softplus_, kNan, kNan);
  check_value("softplus", softplus_, 1e30f, 1e30f);
  check_value("SiLU", silu_, kInfinity, kInfinity);
  check_value("SiLU", silu_, kNan, kNan);
  check_value("SiLU", silu_, 0.0f, 0.0f);
}

// `got` are the bits that were stored, `expected` those of the scalar conversion; a NaN must only stay one.
template <class T>
void expect_half(const char* what, float x, uint16_t got, uint16_t expected) {
  float back[kLanes] = {};
  T copies[kLanes];
  for (T& copy : copies) copy.bits = got;
  store(back, load(copies));
  expect(std::isnan(x) ? std::isnan(back[0]) : got == expected, at(what, x, got, expected));
}

uint16_t exact_bfloat16(float x) {
  const uint32_t bits = bits_from_float(x), rest = bits & 0xffff, kept = bits >> 16;
  return static_cast<uint16_t>(kept + (rest > 0x8000 || (rest == 0x8000 && kept % 2 == 1)));
}

template <class T>
void check_stored(const char* what, uint32_t bits, uint16_t (*exact)(float)) {
  const float x = float_from_bits(bits);
  T out[kLanes];
  store(out, splat(0.0f) + x);
  expect_half<T>(what, x, out[0].bits, exact(x));
}

void check_halves() {
  const auto exact_float16 = [](float x) { return to_float16(x).bits; };
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float16 half[kLanes];
    bfloat16 brain[kLanes];
    for (int j = 0; j < kLanes; ++j) half[j].bits = brain[j].bits = static_cast<uint16_t>(bits);
    const float expected = to_float(half[0]), got = load(half)[kLanes - 1];
    const bool same = std::isnan(expected) ? std::isnan(got) : bits_from_float(got) == bits_from_float(expected);
    expect(same, at("load of float16", bits, got, expected));
    const uint32_t wide = bits_from_float(load(brain)[kLanes - 1]);
    expect(wide == bits << 16, at("load of bfloat16", bits, wide, bits << 16));
    // The halfway point after each half, and its neighbours, in both formats.
    if (!std::isfinite(expected)) continue;
    for (const int32_t nudge : {-1, 0, 1}) {
      const uint32_t halfway = bits_from_float(expected) + 0x1000u + static_cast<uint32_t>(nudge);
      check_stored<float16>("store of float16", halfway, exact_float16);
      check_stored<bfloat16>("store of bfloat16", (bits << 16) + 0x8000u + static_cast<uint32_t>(nudge),
                             exact_bfloat16);
    }
  }
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 16411) {
    check_stored<float16>("store of float16", static_cast<uint32_t>(bits), exact_float16);
    check_stored<bfloat16>("store of bfloat16", static_cast<uint32_t>(bits), exact_bfloat16);
  }
}

// Fewer than all lanes: the others read as zero and nothing behind them is touched.
template <class T>
void check_partial(const char* what) {
  for (int count = 1; count <= kLanes; ++count) {
    T data[kLanes + 1];
    for (T& element : data) store(&element, splat(2.0f), 1);
    const vfloat in = load(data, count);
    store(data, splat(3.0f), count);
    for (int j = 0; j < kLanes; ++j) {
      expect(in[j] == (j < count ? 2.0f : 0.0f), at(what, j, in[j], count));
      const float out = load(data + j, 1)[0];
      expect(out == (j < count ? 3.0f : 2.0f), at(what, j, out, count));
    }
  }
}

// Whether this processor has the instructions that this file was compiled for.
bool runs_here() {
#if defined(__AVX512F__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#elif defined(__AVX2__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
#else
  return true;
#endif
}

}  // namespace

int main() {
  if (!runs_here()) {
    std::puts("skipped: this processor has no such instructions");
    return 77;
  }
  check_exp2();
  check_activations();
  check_halves();
  check_partial<float>("partial float32");
  check_partial<float16>("partial float16");
  check_partial<bfloat16>("partial bfloat16");
  std::printf(failures == 0 ? "all vector tests passed\n" : "%d failures\n", failures);
  return failures != 0;
}
