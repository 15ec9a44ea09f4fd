// The avx2 tier; CMake compiles this file with the flags of its instruction set.
#include "conv_kernel.h"
#include "scan_kernel.h"

namespace vmexport {

extern const Tier kAvx2Tier = {"avx2", kLanes, scan_piece, gate_piece, conv_piece};

}  // namespace vmexport
