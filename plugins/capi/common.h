// What both C libraries export: version and struct sizes, by which a caller recognises a foreign build.
#ifndef VMEXPORT_CAPI_COMMON_H
#define VMEXPORT_CAPI_COMMON_H

#include "../scan/params.h"

#ifdef __cplusplus
extern "C" {
#endif

#define VMEXPORT_API __attribute__((visibility("default")))

VMEXPORT_API uint32_t vmexport_abi_version(void);
VMEXPORT_API const char* vmexport_version(void);
VMEXPORT_API size_t vmexport_scan_params_size(void);
VMEXPORT_API size_t vmexport_conv_params_size(void);

#ifdef __cplusplus
}  // extern "C"
#endif
#endif  // VMEXPORT_CAPI_COMMON_H
