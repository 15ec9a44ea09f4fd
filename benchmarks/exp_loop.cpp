// The yardstick of benchmarks/operator_cpu.py: nothing but exponentials.
//
// Each thread runs exp over a block that stays in its first-level cache, again and again, until its share of `count`
// values is done. Built twice: with EXP_LIBM and -ffast-math on the C library's exp, which the compiler vectorises
// (libmvec on glibc), and without it on the kernel's own 2^x, with the kernel's flags. The faster one counts.
#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

#ifndef EXP_LIBM
#include "../plugins/scan/vector_math.h"
#endif

namespace {

constexpr int64_t kBlock = 2048;  // floats in, and as many out: 16 KiB together

#ifdef EXP_LIBM
void exponentials(const float* in, float* out) {
#pragma omp simd
  for (int64_t i = 0; i < kBlock; ++i) out[i] = std::exp(in[i]);
}
#else
void exponentials(const float* in, float* out) {
  const vfloat factor = splat(kLog2e);
#pragma GCC unroll 4
  for (int64_t i = 0; i < kBlock; i += kLanes) store(out + i, exp2_of_product<Range::kModerate>(load(in + i), factor));
}
#endif

void run(int64_t count) {
  alignas(64) float in[kBlock];
  alignas(64) float out[kBlock];
  for (int64_t i = 0; i < kBlock; ++i) in[i] = -8.0f * static_cast<float>(i) / static_cast<float>(kBlock);
  for (int64_t done = 0; done < count; done += kBlock) {
    exponentials(in, out);
    asm volatile("" : : "r"(in), "r"(out) : "memory");  // both count as used and changed: no pass may be dropped
  }
}

}  // namespace

// `count` exponentials on `threads` threads.
extern "C" void exp_loop(int64_t count, int32_t threads) {
  std::vector<std::thread> helpers;
  for (int32_t i = 1; i < threads; ++i) helpers.emplace_back(run, count / threads);
  run(count / threads);
  for (std::thread& helper : helpers) helper.join();
}
