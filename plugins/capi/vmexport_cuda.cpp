#include "vmexport_cuda.h"

#include "../scan/cuda.h"
#include "message.h"

using vmexport::Message;

vmexport_status vmexport_selective_scan_cuda(const vmexport_scan_params* params, void* stream, char* message) {
  if (params == nullptr) return VMEXPORT_INVALID_ARGUMENT;
  return vmexport::selective_scan_cuda(*params, stream, Message(message).text);
}

vmexport_status vmexport_causal_conv1d_cuda(const vmexport_conv_params* params, void* stream, char* message) {
  if (params == nullptr) return VMEXPORT_INVALID_ARGUMENT;
  return vmexport::causal_conv1d_cuda(*params, stream, Message(message).text);
}

const char* vmexport_cuda_architectures(void) { return VMEXPORT_CUDA_ARCHITECTURES; }
