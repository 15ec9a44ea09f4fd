// The one contract of both operators: plain parameter structs that every front end fills.
// C and C++, CPU and CUDA; no framework header is ever included here.
//
// Letters: S directions, B batch, L tokens, D channels, N states, K taps. T is the dtype of `dtype`.
#ifndef VMEXPORT_SCAN_PARAMS_H
#define VMEXPORT_SCAN_PARAMS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VMEXPORT_ABI_VERSION 2
#define VMEXPORT_MAX_DIRECTIONS 8
#define VMEXPORT_MAX_STATES 256
#define VMEXPORT_MAX_TAPS 8
#define VMEXPORT_MESSAGE_SIZE 256

typedef enum vmexport_dtype {
  VMEXPORT_FLOAT32 = 0,
  VMEXPORT_FLOAT16 = 1,
  VMEXPORT_BFLOAT16 = 2,
} vmexport_dtype;

typedef enum vmexport_order {
  VMEXPORT_FORWARD = 0,
  VMEXPORT_SPATIOTEMPORAL = 1,
  VMEXPORT_SPATIAL = 2,
  VMEXPORT_TEMPORAL = 3,
} vmexport_order;

typedef enum vmexport_status {
  VMEXPORT_OK = 0,
  VMEXPORT_INVALID_ARGUMENT = 1,
  VMEXPORT_OUT_OF_MEMORY = 2,
  VMEXPORT_UNSUPPORTED = 3,
  VMEXPORT_LAUNCH_FAILED = 4,
} vmexport_status;

// Runs task(context, i) for every i in [0, count), possibly at the same time, and returns when all are done.
typedef void (*vmexport_task)(void* context, int64_t index);
typedef void (*vmexport_parallel_for)(void* executor, int64_t count, vmexport_task task, void* context);

// How tokens are visited; shared by both operators.
typedef struct vmexport_token_order {
  int64_t tokens_per_frame;                 // read by the spatial and temporal orders only
  int32_t class_token;                      // 1: token 0 is a class token, visited last by backward orders
  int32_t directions;                       // S, 1 to VMEXPORT_MAX_DIRECTIONS
  int32_t orders[VMEXPORT_MAX_DIRECTIONS];  // a vmexport_order each
} vmexport_token_order;

// Who does the work on a CPU. All zero: as many std::threads as the work and the machine justify.
typedef struct vmexport_executor {
  vmexport_parallel_for parallel_for;  // nullable: the framework's own thread pool
  void* executor;
  int32_t threads;  // upper limit of tasks at the same time; 0: every core this process may use
} vmexport_executor;

// Selective scan: y = scale * SiLU(z) * sum_s scan_s.
// All strides are in elements; the channel (or state) axis is always contiguous. Pointers are never null
// unless the comment says so.
typedef struct vmexport_scan_params {
  uint32_t struct_size;  // sizeof(vmexport_scan_params)
  int32_t dtype;         // vmexport_dtype of u, delta, bc, z, y
  int64_t batch, length, channels, states;
  vmexport_token_order order;
  int32_t delta_softplus;  // 0: delta + bias is used as it is
  float scale;
  const void* u;            // (S, B, L, D) T
  const void* delta;        // (S, B, L, D) T
  const float* a;           // (S, D, N) contiguous
  const void* bc;           // (S, B, L, 2N) T, B then C
  const float* d;           // (S, D) contiguous; nullable: no skip
  const float* delta_bias;  // (S, D) contiguous; nullable: no bias
  const void* z;            // (B, L, D) T; nullable: no gate
  void* y;                  // (B, L, D) T, out
  float* last_state;        // (S, B, D, N) contiguous, out; nullable
  int64_t u_stride[3];      // direction, batch, token
  int64_t delta_stride[3];  // direction, batch, token
  int64_t bc_stride[3];     // direction, batch, token
  int64_t z_stride[2];      // batch, token
  int64_t y_stride[2];      // batch, token
  vmexport_executor executor;
} vmexport_scan_params;

// Causal depthwise convolution of K taps in scan order, bias and SiLU:
// u_s[i_s(t)] = SiLU(bias_s + sum_k weight_s[k] * x[i_s(t - K + 1 + k)]), zero before the first step.
typedef struct vmexport_conv_params {
  uint32_t struct_size;  // sizeof(vmexport_conv_params)
  int32_t dtype;         // vmexport_dtype of x and u
  int64_t batch, length, channels, taps;
  vmexport_token_order order;
  const void* x;        // (B, L, D) T
  const float* weight;  // (S, D, K) contiguous
  const float* bias;    // (S, D) contiguous; nullable
  void* u;              // (S, B, L, D) T, out, natural token order
  int64_t x_stride[2];  // batch, token
  int64_t u_stride[3];  // direction, batch, token
  vmexport_executor executor;
} vmexport_conv_params;

// Gradients of the scan. A gradient has its tensor's shape and dtype; a null pointer: not wanted, which saves its work.
// A gradient of a tensor that is null itself must be null. Float gradients are contiguous, the others have strides as
// their tensors have. Outputs must overlap neither an input nor each other.
typedef struct vmexport_scan_backward_params {
  uint32_t struct_size;          // sizeof(vmexport_scan_backward_params)
  vmexport_scan_params scan;     // the forward call; y and last_state are neither read nor written and may be null
  const void* grad_y;            // (B, L, D) T
  const float* grad_last_state;  // (S, B, D, N) contiguous; nullable: zero
  void* grad_u;                  // (S, B, L, D) T, out; nullable
  void* grad_delta;              // (S, B, L, D) T, out; nullable
  float* grad_a;                 // (S, D, N), out; nullable
  void* grad_bc;                 // (S, B, L, 2N) T, out; nullable
  float* grad_d;                 // (S, D), out; nullable
  float* grad_delta_bias;        // (S, D), out; nullable
  void* grad_z;                  // (B, L, D) T, out; nullable
  int64_t grad_y_stride[2];      // batch, token
  int64_t grad_u_stride[3];      // direction, batch, token
  int64_t grad_delta_stride[3];  // direction, batch, token
  int64_t grad_bc_stride[3];     // direction, batch, token
  int64_t grad_z_stride[2];      // batch, token
} vmexport_scan_backward_params;

// Gradients of the convolution, under the same rules.
typedef struct vmexport_conv_backward_params {
  uint32_t struct_size;       // sizeof(vmexport_conv_backward_params)
  vmexport_conv_params conv;  // the forward call; u is neither read nor written and may be null
  const void* grad_u;         // (S, B, L, D) T
  void* grad_x;               // (B, L, D) T, out; nullable
  float* grad_weight;         // (S, D, K), out; nullable
  float* grad_bias;           // (S, D), out; nullable
  int64_t grad_u_stride[3];   // direction, batch, token
  int64_t grad_x_stride[2];   // batch, token
} vmexport_conv_backward_params;

#ifdef __cplusplus
}  // extern "C"
#endif
#endif  // VMEXPORT_SCAN_PARAMS_H
