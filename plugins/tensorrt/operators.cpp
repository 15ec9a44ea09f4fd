#include "operators.h"

#include <algorithm>

#include "../scan/cuda.h"
#include "../scan/validate.h"

namespace vmexport::trt {
namespace {

vmexport_status fill(const Call& call, vmexport_scan_params* params, char* message) noexcept {
  Tensor inputs[kScanInputs];
  std::copy_n(call.inputs, static_cast<int>(kScanInputs), inputs);
  params->struct_size = sizeof *params;
  params->dtype = call.dtype;
  params->order = call.attributes.order;
  params->delta_softplus = 1;
  params->scale = call.attributes.scale;
  params->y = call.output;
  return fill_scan(inputs, params, message) ? VMEXPORT_OK : VMEXPORT_INVALID_ARGUMENT;
}

vmexport_status fill(const Call& call, vmexport_conv_params* params, char* message) noexcept {
  Tensor inputs[kConvInputs];
  std::copy_n(call.inputs, static_cast<int>(kConvInputs), inputs);
  params->struct_size = sizeof *params;
  params->dtype = call.dtype;
  params->order = call.attributes.order;
  params->u = call.output;
  return fill_conv(inputs, params, message) ? VMEXPORT_OK : VMEXPORT_INVALID_ARGUMENT;
}

template <class Params>
vmexport_status check(const Call& call, char* message) noexcept {
  Params params{};
  const vmexport_status status = fill(call, &params, message);
  return status == VMEXPORT_OK ? validate_sizes(params, message) : status;
}

template <class Params, vmexport_status (*kernel)(const Params&, void*, char*) noexcept>
vmexport_status launch(const Call& call, char* message) noexcept {
  Params params{};
  const vmexport_status status = fill(call, &params, message);
  return status == VMEXPORT_OK ? kernel(params, call.stream, message) : status;
}

}  // namespace

// The order of ../../vmexport/ops/schema.py.
const Operator kSelectiveScan = {
    "SelectiveScan",
    1,
    kScanInputs,
    {{kScanNames[kU], 4, 1, true},
     {kScanNames[kDelta], 4, 1, true},
     {kScanNames[kA], 3, -1, false},
     {kScanNames[kBC], 4, 1, true},
     {kScanNames[kD], 2, -1, false},
     {kScanNames[kDeltaBias], 2, -1, false},
     {kScanNames[kZ], 3, 0, true}},
    "y",
    3,
    {{kZ, 0}, {kZ, 1}, {kZ, 2}, {}},
    true,
    check<vmexport_scan_params>,
    launch<vmexport_scan_params, selective_scan_cuda>,
};

const Operator kCausalConv1d = {
    "CausalConv1d",
    2,
    kConvInputs,
    {{kConvNames[kX], 3, 0, true}, {kConvNames[kWeight], 3, -1, false}, {kConvNames[kBias], 2, -1, false}},
    "u",
    4,
    {{kDirections, 0}, {kX, 0}, {kX, 1}, {kX, 2}},
    false,
    check<vmexport_conv_params>,
    launch<vmexport_conv_params, causal_conv1d_cuda>,
};

}  // namespace vmexport::trt
