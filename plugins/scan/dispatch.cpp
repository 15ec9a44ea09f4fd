#include "dispatch.h"

#include <atomic>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "cpu.h"

namespace vmexport {
namespace {

#if defined(__x86_64__)
// __builtin_cpu_supports knows the word since GCC 11. That the system keeps the registers, it says with avx2.
bool has_f16c() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

// Every instruction set that a tier's file is compiled with: VMEXPORT_AVX2_FLAGS, VMEXPORT_AVX512_FLAGS of CMake.
bool has(const Tier& tier) noexcept {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (&tier == &kAvx512Tier) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("fma") && has_f16c();
  }
  if (&tier == &kAvx2Tier) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  }
#endif
  return &tier == &kBaselineTier;
}

const Tier* const kTiers[] = {// best first
#if defined(__x86_64__)
                              &kAvx512Tier, &kAvx2Tier,
#endif
                              &kBaselineTier};

const Tier* best() noexcept {
  for (const Tier* tier : kTiers) {
    if (has(*tier)) return tier;
  }
  return &kBaselineTier;
}

std::atomic<const Tier*> chosen{nullptr};

}  // namespace

const Tier& current_tier() noexcept {
  const Tier* tier = chosen.load(std::memory_order_relaxed);
  if (tier == nullptr) {
    tier = best();
    chosen.store(tier, std::memory_order_relaxed);
  }
  return *tier;
}

const char* cpu_tier() noexcept { return current_tier().name; }

bool set_cpu_tier(const char* name) noexcept {
  if (name == nullptr) {
    chosen.store(best());
    return true;
  }
  for (const Tier* tier : kTiers) {
    if (std::strcmp(tier->name, name) == 0 && has(*tier)) {
      chosen.store(tier);
      return true;
    }
  }
  return false;
}

}  // namespace vmexport
