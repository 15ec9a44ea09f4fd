// Vectors of float as wide as the tier that includes this file, on GCC/Clang vector extensions; only what the
// extensions lack is written for an instruction set. Everything has internal linkage: each tier is its own
// translation unit with its own flags, and the linker must never share a function between them.
#ifndef VMEXPORT_SCAN_SIMD_H
#define VMEXPORT_SCAN_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#include "half.h"

#define VMEXPORT_INLINE static inline __attribute__((always_inline))

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float vfloat __attribute__((vector_size(kLanes * 4)));
typedef int32_t vint __attribute__((vector_size(kLanes * 4)));
typedef uint32_t vuint __attribute__((vector_size(kLanes * 4)));
typedef uint16_t vhalf __attribute__((vector_size(kLanes * 2)));

VMEXPORT_INLINE vfloat splat(float x) { return x - vfloat{}; }
VMEXPORT_INLINE vint bits_of(vfloat x) { return reinterpret_cast<vint>(x); }
VMEXPORT_INLINE vfloat float_of(vint x) { return reinterpret_cast<vfloat>(x); }

// Larger of a constant bound and x; a NaN in x stays.
VMEXPORT_INLINE vfloat at_least(float bound, vfloat x) {
#if defined(__AVX512F__)
  return _mm512_max_ps(splat(bound), x);
#elif defined(__AVX2__)
  return _mm256_max_ps(splat(bound), x);
#elif defined(__SSE2__)
  return _mm_max_ps(splat(bound), x);
#elif defined(__ARM_NEON)
  return vmaxq_f32(splat(bound), x);
#else
  return x < bound ? splat(bound) : x;
#endif
}

VMEXPORT_INLINE vfloat at_most(float bound, vfloat x) {
#if defined(__AVX512F__)
  return _mm512_min_ps(splat(bound), x);
#elif defined(__AVX2__)
  return _mm256_min_ps(splat(bound), x);
#elif defined(__SSE2__)
  return _mm_min_ps(splat(bound), x);
#elif defined(__ARM_NEON)
  return vminq_f32(splat(bound), x);
#else
  return x > bound ? splat(bound) : x;
#endif
}

// Larger of both; y where x is a NaN.
VMEXPORT_INLINE vfloat larger(vfloat x, vfloat y) { return x > y ? x : y; }

VMEXPORT_INLINE bool all(vint lanes) {
  int32_t result = -1;
  for (int i = 0; i < kLanes; ++i) result &= lanes[i];
  return result != 0;
}

VMEXPORT_INLINE vfloat absolute(vfloat x) { return float_of(bits_of(x) & 0x7fffffff); }

VMEXPORT_INLINE vfloat load(const float* p) {
  vfloat x;
  memcpy(&x, p, sizeof x);
  return x;
}
VMEXPORT_INLINE void store(float* p, vfloat x) { memcpy(p, &x, sizeof x); }

VMEXPORT_INLINE vfloat load(const bfloat16* p) {
  vhalf raw;
  memcpy(&raw, p, sizeof raw);
  return float_of(__builtin_convertvector(raw, vint) << 16);
}
VMEXPORT_INLINE void store(bfloat16* p, vfloat x) {
  const vint raw = bits_of(x);
  const vint sum = vint(vuint(raw) + 0x7fff + vuint((raw >> 16) & 1));  // unsigned: a NaN may overflow
  const vint rounded = sum >> 16;                                       // to nearest, ties to even
  const vint quiet_nan = (raw >> 16) | 0x40;
  const vint is_number = x == x;
  const vhalf out = __builtin_convertvector((rounded & is_number) | (quiet_nan & ~is_number), vhalf);
  memcpy(p, &out, sizeof out);
}

VMEXPORT_INLINE vfloat load(const float16* p) {
#if defined(__AVX512F__)
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(__F16C__)
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#elif defined(__ARM_NEON)
  return vcvt_f32_f16(vld1_f16(reinterpret_cast<const __fp16*>(p)));
#else
  vfloat x;
  for (int i = 0; i < kLanes; ++i) x[i] = to_float(p[i]);
  return x;
#endif
}
VMEXPORT_INLINE void store(float16* p, vfloat x) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__ARM_NEON)
  vst1_f16(reinterpret_cast<__fp16*>(p), vcvt_f16_f32(x));
#else
  for (int i = 0; i < kLanes; ++i) p[i] = to_float16(x[i]);
#endif
}

// kCount floats, asked for in ascending order, each a factor of whole vectors.
#if defined(__aarch64__)
// Its instructions take such a factor out of a register's lane: fetched four at a time.
template <int kCount>
struct Factors {
  const float* p;
  float32x4_t four;

  explicit Factors(const float* from) : p(from) {}
  float operator[](int n) {
    if (n >= kCount / 4 * 4) return p[n];
    if (n % 4 == 0) {
      four = vld1q_f32(p + n);
      asm("" : "+w"(four));  // else the compiler loads each lane by itself
    }
    return four[n % 4];
  }
};
#else
template <int kCount>
using Factors = const float*;  // broadcast from memory
#endif

// factor * x + input * b
VMEXPORT_INLINE vfloat advance(vfloat factor, vfloat x, vfloat input, float b) {
#if defined(__aarch64__)
  asm("fmul %0.4s, %0.4s, %1.4s" : "+w"(x) : "w"(factor));  // in place: x stays in its register, without a copy
  return vfmaq_n_f32(x, input, b);
#else
  return factor * x + input * b;
#endif
}

#if defined(__SSE2__)
VMEXPORT_INLINE float sum_four(__m128 x) {
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}
#endif

VMEXPORT_INLINE float sum_lanes(vfloat x) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(x);
#elif defined(__AVX2__)
  return sum_four(_mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1)));
#elif defined(__SSE2__)
  return sum_four(x);
#elif defined(__aarch64__)
  return vaddvq_f32(x);
#else
  return (x[0] + x[1]) + (x[2] + x[3]);
#endif
}

// Sum of the first `count` lanes; what stands in the others, a NaN even, does not matter.
VMEXPORT_INLINE float sum_lanes(vfloat x, int count) {
  for (int i = count; i < kLanes; ++i) x[i] = 0.0f;
  return sum_lanes(x);
}

// The first `count` lanes only; the other lanes read as zero and are not written.
template <class T>
VMEXPORT_INLINE vfloat load(const T* p, int count) {
  if (__builtin_expect(count == kLanes, 1)) return load(p);
  T padded[kLanes] = {};
  memcpy(padded, p, sizeof(T) * count);
  return load(padded);
}
template <class T>
VMEXPORT_INLINE void store(T* p, vfloat x, int count) {
  if (__builtin_expect(count == kLanes, 1)) return store(p, x);
  T padded[kLanes];
  store(padded, x);
  memcpy(p, padded, sizeof(T) * count);
}

}  // namespace

#endif  // VMEXPORT_SCAN_SIMD_H
