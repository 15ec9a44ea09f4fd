// Choice of the instruction tier at run time.
#ifndef VMEXPORT_SCAN_DISPATCH_H
#define VMEXPORT_SCAN_DISPATCH_H

#include "tier.h"

namespace vmexport {

const Tier& current_tier() noexcept;

}  // namespace vmexport

#endif  // VMEXPORT_SCAN_DISPATCH_H
