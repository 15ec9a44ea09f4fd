#include "vmexport.h"

#include "../scan/cpu.h"

namespace {

// Somewhere to write where the caller does not care.
struct Message {
  char own[VMEXPORT_MESSAGE_SIZE];
  char* text;
  explicit Message(char* given) : text(given != nullptr ? given : own) { text[0] = '\0'; }
};

}  // namespace

vmexport_status vmexport_selective_scan(const vmexport_scan_params* params, char* message) {
  if (params == nullptr) return VMEXPORT_INVALID_ARGUMENT;
  return vmexport::selective_scan_cpu(*params, Message(message).text);
}

vmexport_status vmexport_causal_conv1d(const vmexport_conv_params* params, char* message) {
  if (params == nullptr) return VMEXPORT_INVALID_ARGUMENT;
  return vmexport::causal_conv1d_cpu(*params, Message(message).text);
}

uint32_t vmexport_abi_version(void) { return VMEXPORT_ABI_VERSION; }
const char* vmexport_version(void) { return VMEXPORT_VERSION; }
const char* vmexport_cpu_tier(void) { return vmexport::cpu_tier(); }
int32_t vmexport_set_cpu_tier(const char* name) { return vmexport::set_cpu_tier(name) ? 1 : 0; }
size_t vmexport_scan_params_size(void) { return sizeof(vmexport_scan_params); }
size_t vmexport_conv_params_size(void) { return sizeof(vmexport_conv_params); }
