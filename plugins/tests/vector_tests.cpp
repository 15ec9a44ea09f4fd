// Compiled with a tier's flags, as the tier's own file is (../scan/tier.h), and under the same rule: no template and no
// inline function of the C++ library, of which the linker could give this file's copy to all. So C's headers only.
#include "vector_tests.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "../scan/vector_math.h"

namespace {

constexpr float kInfinity = __builtin_inff();
constexpr float kNan = __builtin_nanf("");
int failures = 0;

bool is_nan(double x) { return x != x; }
bool is_finite(float x) { return __builtin_fabsf(x) <= FLT_MAX; }

void expect(bool holds, const char* what, double x, double got, double expected) {
  if (holds) return;
  if (++failures <= 20) printf("FAILED %s(%.9g) = %.9g, expected %.9g\n", what, x, got, expected);
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
      const double error = fabs(out[j] - expected) / fabs(expected);
      if (!(error <= worst)) worst = error, worst_at = in[j];
    }
  }
  expect(worst <= bound, what, worst_at, worst, bound);  // of the relative error
  printf("%s on [%g, %g]: relative error %.2e\n", what, static_cast<double>(first), static_cast<double>(last), worst);
}

template <class Function>
void check_value(const char* what, Function function, float x, float expected) {
  const float got = function(splat(0.0f) + x)[kLanes - 1];
  expect(is_nan(expected) ? is_nan(got) : got == expected, what, x, got, expected);
}

void check_exp2() {
  const auto any = [](vfloat x) { return exp2_of_product(x, splat(1.0f)); };
  const auto decay = [](vfloat x) { return exp2_of_product<Range::kNotPositive>(x, splat(1.0f)); };
  const auto exact = [](double x) { return exp2(x); };
  check_range("2^x", -1.0f, 1.0f, 2.5e-7, any, exact);
  check_range("2^x", kVanishes + 1.1f, 127.4f, 2.5e-7, any, exact);
  check_range("2^x, x <= 0", -1.0f, 0.0f, 2.5e-7, decay, exact);
  check_range("2^x, x <= 0", kVanishes + 1.1f, 0.0f, 2.5e-7, decay, exact);
  const float ones[] = {0.0f, -0.0f, 1e-9f, -1e-9f, FLT_TRUE_MIN};
  for (const float x : ones) {
    check_value("2^x", any, x, 1.0f);
    if (!(x > 0)) check_value("2^x, x <= 0", decay, x, 1.0f);
  }
  const float zeros[] = {-128.0f, -200.0f, -256.0f, -257.0f, -1e9f, -3e38f, -kInfinity};
  for (const float x : zeros) {
    check_value("2^x", any, x, 0.0f);
    check_value("2^x, x <= 0", decay, x, 0.0f);
  }
  const float infinities[] = {128.0f, 129.0f, 1e9f, 3e38f, kInfinity};
  for (const float x : infinities) check_value("2^x", any, x, kInfinity);
  const float nans[] = {kNan, -kNan};
  for (const float x : nans) {
    check_value("2^x", any, x, kNan);
    check_value("2^x, x <= 0", decay, x, kNan);
  }
  for (float x = kVanishes - 1; x <= kVanishes + 1; x += 0.001f) {  // the least results may be anything in between
    const float got = decay(splat(x))[0];
    expect(got >= 0 && got <= exp2(kVanishes + 1.0), "2^x near underflow", x, got, exp2(static_cast<double>(x)));
  }
  check_value(
      "product that overflows", [](vfloat x) { return exp2_of_product<Range::kNotPositive>(x, splat(-1e20f)); }, 1e20f,
      0.0f);
}

void check_activations() {
  const auto softplus_ = [](vfloat x) { return softplus(x); };
  const auto silu_ = [](vfloat x) { return silu(x); };
  // Far from 0 the rounding of x log2(e) itself is the error.
  const auto softplus_exact = [](double x) { return fmax(x, 0.0) + log1p(exp(-fabs(x))); };
  const auto silu_exact = [](double x) { return x / (1 + exp(-x)); };
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
  expect(is_nan(x) ? is_nan(back[0]) : got == expected, what, x, got, expected);
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
    const bool same = is_nan(expected) ? is_nan(got) : bits_from_float(got) == bits_from_float(expected);
    expect(same, "load of float16", bits, got, expected);
    const uint32_t wide = bits_from_float(load(brain)[kLanes - 1]);
    expect(wide == bits << 16, "load of bfloat16", bits, wide, bits << 16);
    // The halfway point after each half, and its neighbours, in both formats.
    if (!is_finite(expected)) continue;
    for (int32_t nudge = -1; nudge <= 1; ++nudge) {
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
      expect(in[j] == (j < count ? 2.0f : 0.0f), what, j, in[j], count);
      const float out = load(data + j, 1)[0];
      expect(out == (j < count ? 3.0f : 2.0f), what, j, out, count);
    }
  }
}

}  // namespace

int vector_failures() {
  check_exp2();
  check_activations();
  check_halves();
  check_partial<float>("partial float32");
  check_partial<float16>("partial float16");
  check_partial<bfloat16>("partial bfloat16");
  return failures;
}
