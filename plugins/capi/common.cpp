#include "common.h"

uint32_t vmexport_abi_version(void) { return VMEXPORT_ABI_VERSION; }
const char* vmexport_version(void) { return VMEXPORT_VERSION; }
size_t vmexport_scan_params_size(void) { return sizeof(vmexport_scan_params); }
size_t vmexport_conv_params_size(void) { return sizeof(vmexport_conv_params); }
