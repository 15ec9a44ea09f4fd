// The state of a plugin within an engine of TensorRT 8, and of TensorRT 10 by the first vmexport: its operator and
// attributes, one after the other, little-endian, with a version. An engine outlives the library that built it, so that
// nothing here may depend on a compiler's layout.
#ifndef VMEXPORT_TENSORRT_BYTES_H
#define VMEXPORT_TENSORRT_BYTES_H

#include <cstddef>
#include <cstdint>

#include "operators.h"

namespace vmexport::trt {

constexpr uint32_t kBytesVersion = 1;

size_t bytes_size(const Attributes& attributes) noexcept;

// Writes bytes_size(attributes) bytes.
void write_bytes(const Operator& op, const Attributes& attributes, unsigned char* bytes) noexcept;

// False with a message where these are not exactly the bytes of such a node: another operator, a newer version, cut
// short, followed by something, values that no attribute has.
bool read_bytes(const Operator& op, const void* bytes, size_t size, Attributes* attributes, Message* message) noexcept;

}  // namespace vmexport::trt

#endif  // VMEXPORT_TENSORRT_BYTES_H
