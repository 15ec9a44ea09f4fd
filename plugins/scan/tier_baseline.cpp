// The tier that every machine of this architecture has: SSE2 on x86-64, NEON on aarch64.
#include "conv_backward_kernel.h"
#include "conv_kernel.h"
#include "scan_backward_piece.h"
#include "scan_kernel.h"

namespace vmexport {

#if defined(__ARM_NEON)
constexpr Tier kBaselineTier = {"neon",
                                kLanes,
                                scan_piece,
                                gate_piece,
                                conv_piece,
                                scan_backward_piece,
                                gate_backward_piece,
                                sum_bc_piece,
                                conv_backward_piece};
#else
constexpr Tier kBaselineTier = {"baseline",          kLanes,       scan_piece,
                                gate_piece,          conv_piece,   scan_backward_piece,
                                gate_backward_piece, sum_bc_piece, conv_backward_piece};
#endif

}  // namespace vmexport
