// The avx512 tier; CMake compiles this file with the flags of its instruction set.
#include "conv_backward_kernel.h"
#include "conv_kernel.h"
#include "scan_backward_piece.h"
#include "scan_kernel.h"

namespace vmexport {

constexpr Tier kAvx512Tier = {"avx512",
                              kLanes,
                              scan_piece,
                              gate_piece,
                              conv_piece,
                              scan_backward_piece,
                              gate_backward_piece,
                              sum_bc_piece,
                              conv_backward_piece};

}  // namespace vmexport
