// The C library as a program without vmexport's sources sees it: loaded at run time, its tier chosen by itself.
//   vmexport_capi_tests <libvmexport_scan.so>
#include <dlfcn.h>

#include <cstdio>
#include <cstring>

#include "../capi/vmexport.h"
#include "kernel_cases.h"

namespace {

using namespace cases;

// The entry point `name`, with the type that the header gives it.
template <class Function>
Function* entry(void* library, const char* name, Function*) {
  void* const address = dlsym(library, name);
  expect(address != nullptr, std::string(name) + ": exported");
  return reinterpret_cast<Function*>(address);
}
#define VMEXPORT_ENTRY(library, name) entry(library, #name, static_cast<decltype(&name)>(nullptr))

void check_kernels(void* library, const std::string& tier) {
  auto* const scan = VMEXPORT_ENTRY(library, vmexport_selective_scan);
  auto* const conv = VMEXPORT_ENTRY(library, vmexport_causal_conv1d);
  if (failures() > 0) return;
  for (const Case& test : cases_to_run()) {
    for (int32_t dtype = 0; dtype < 3; ++dtype) {
      const std::string name = "C library, " + tier + ", " + test.name + ", " + kDtypes[dtype];
      ScanRun(test, dtype).check(test, name, [scan](const auto& params, char* message) {
        return scan(&params, message);
      });
      check_conv(test, dtype, name, [conv](const auto& params, char* message) { return conv(&params, message); });
    }
  }
  expect(scan(nullptr, nullptr) == VMEXPORT_INVALID_ARGUMENT, "no parameters");
  vmexport_scan_params wrong{};
  char message[VMEXPORT_MESSAGE_SIZE] = "";
  expect(scan(&wrong, nullptr) == VMEXPORT_INVALID_ARGUMENT, "a message is not asked for");
  expect(scan(&wrong, message) == VMEXPORT_INVALID_ARGUMENT && message[0] != '\0', "a message is given");
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: %s libvmexport_scan.so\n", arguments[0]);
    return 2;
  }
  void* const library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  auto* const version = VMEXPORT_ENTRY(library, vmexport_abi_version);
  auto* const size = VMEXPORT_ENTRY(library, vmexport_scan_params_size);
  auto* const tier = VMEXPORT_ENTRY(library, vmexport_cpu_tier);
  if (failures() > 0) return 1;
  expect(version() == VMEXPORT_ABI_VERSION, "version of the interface");
  expect(size() == sizeof(vmexport_scan_params), "size of the parameters");
  const std::string chosen = tier();
  check_kernels(library, chosen);
  std::printf("tier chosen by itself: %s\n", chosen.c_str());
  std::printf(failures() == 0 ? "all tests of the C library passed\n" : "%d failures\n", failures());
  return failures() != 0;
}
