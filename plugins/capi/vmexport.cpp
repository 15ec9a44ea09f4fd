#include "vmexport.h"

#include "../scan/cpu.h"
#include "message.h"

using vmexport::Message;

vmexport_status vmexport_selective_scan(const vmexport_scan_params* params, char* message) {
  if (params == nullptr) return VMEXPORT_INVALID_ARGUMENT;
  return vmexport::selective_scan_cpu(*params, Message(message).text);
}

vmexport_status vmexport_causal_conv1d(const vmexport_conv_params* params, char* message) {
  if (params == nullptr) return VMEXPORT_INVALID_ARGUMENT;
  return vmexport::causal_conv1d_cpu(*params, Message(message).text);
}

vmexport_status vmexport_selective_scan_backward(const vmexport_scan_backward_params* params, char* message) {
  if (params == nullptr) return VMEXPORT_INVALID_ARGUMENT;
  return vmexport::selective_scan_backward_cpu(*params, Message(message).text);
}

vmexport_status vmexport_causal_conv1d_backward(const vmexport_conv_backward_params* params, char* message) {
  if (params == nullptr) return VMEXPORT_INVALID_ARGUMENT;
  return vmexport::causal_conv1d_backward_cpu(*params, Message(message).text);
}

size_t vmexport_scan_backward_params_size(void) { return sizeof(vmexport_scan_backward_params); }
size_t vmexport_conv_backward_params_size(void) { return sizeof(vmexport_conv_backward_params); }

const char* vmexport_cpu_tier(void) { return vmexport::cpu_tier(); }
int32_t vmexport_set_cpu_tier(const char* name) { return vmexport::set_cpu_tier(name) ? 1 : 0; }
