// Registration beside other libraries, in a registry of the harness.
#ifndef VMEXPORT_TESTS_TRT_REGISTRATION_H
#define VMEXPORT_TESTS_TRT_REGISTRATION_H

namespace trt_registration {

void check();

}  // namespace trt_registration

#endif  // VMEXPORT_TESTS_TRT_REGISTRATION_H
