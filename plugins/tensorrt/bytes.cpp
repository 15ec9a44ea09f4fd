#include "bytes.h"

#include <cmath>
#include <cstring>

namespace vmexport::trt {
namespace {

// magic, version, operator, directions, orders..., tokens_per_frame, class_token, scale: 32 bits each
constexpr uint32_t kMagic = 0x58454d56;  // "VMEX"
constexpr size_t kFixedBytes = 7 * 4;

class Writer {
 public:
  explicit Writer(unsigned char* bytes) noexcept : at_(bytes) {}

  void u32(uint32_t value) noexcept {
    for (int i = 0; i < 4; ++i) *at_++ = static_cast<unsigned char>(value >> (8 * i));
  }

 private:
  unsigned char* at_;
};

class Reader {
 public:
  Reader(const void* bytes, size_t size) noexcept : at_(static_cast<const unsigned char*>(bytes)), left_(size) {}

  bool u32(uint32_t* value) noexcept {
    if (left_ < 4) return false;
    *value = 0;
    for (int i = 0; i < 4; ++i) *value |= uint32_t{at_[i]} << (8 * i);
    at_ += 4;
    left_ -= 4;
    return true;
  }

  bool i32(int32_t* value) noexcept {
    uint32_t bits = 0;
    if (!u32(&bits)) return false;
    std::memcpy(value, &bits, sizeof bits);
    return true;
  }

  size_t left() const noexcept { return left_; }

 private:
  const unsigned char* at_;
  size_t left_;
};

bool read_header(const Operator& op, Reader* reader, Message* message) noexcept {
  uint32_t magic = 0, version = 0, code = 0;
  if (!reader->u32(&magic) || magic != kMagic) return message->say("serialised state: not written by vmexport");
  if (!reader->u32(&version) || version < 1 || version > kBytesVersion) {
    return message->say(
        "serialised state: expected version 1 to %u, got %u: build the plugin library of the vmexport "
        "that built the engine, or build the engine again",
        kBytesVersion, version);
  }
  if (!reader->u32(&code) || code != static_cast<uint32_t>(op.code)) {
    return message->say("serialised state: expected operator %d, got %u", op.code, code);
  }
  return true;
}

bool read_order(Reader* reader, vmexport_token_order* order) noexcept {
  if (!reader->i32(&order->directions)) return false;
  if (order->directions < 1 || order->directions > VMEXPORT_MAX_DIRECTIONS) return false;
  for (int32_t s = 0; s < order->directions; ++s) {
    if (!reader->i32(&order->orders[s])) return false;
    if (order->orders[s] < VMEXPORT_FORWARD || order->orders[s] > VMEXPORT_TEMPORAL) return false;
  }
  int32_t tokens = 0;
  if (!reader->i32(&tokens) || !reader->i32(&order->class_token)) return false;
  order->tokens_per_frame = tokens;
  return tokens >= 0 && order->class_token >= 0 && order->class_token <= 1;
}

}  // namespace

size_t bytes_size(const Attributes& attributes) noexcept {
  return kFixedBytes + 4 * static_cast<size_t>(attributes.order.directions);
}

void write_bytes(const Operator& op, const Attributes& attributes, unsigned char* bytes) noexcept {
  const vmexport_token_order& order = attributes.order;
  Writer writer(bytes);
  writer.u32(kMagic);
  writer.u32(kBytesVersion);
  writer.u32(static_cast<uint32_t>(op.code));
  writer.u32(static_cast<uint32_t>(order.directions));
  for (int32_t s = 0; s < order.directions; ++s) writer.u32(static_cast<uint32_t>(order.orders[s]));
  writer.u32(static_cast<uint32_t>(order.tokens_per_frame));
  writer.u32(static_cast<uint32_t>(order.class_token));
  uint32_t scale = 0;
  std::memcpy(&scale, &attributes.scale, sizeof scale);
  writer.u32(scale);
}

bool read_bytes(const Operator& op, const void* bytes, size_t size, Attributes* attributes, Message* message) noexcept {
  if (bytes == nullptr) return message->say("serialised state: expected bytes, got a null pointer");
  Reader reader(bytes, size);
  if (!read_header(op, &reader, message)) return false;
  uint32_t scale = 0;
  if (!read_order(&reader, &attributes->order) || !reader.u32(&scale)) {
    return message->say("serialised state: damaged, or %zu bytes are not all of it", size);
  }
  std::memcpy(&attributes->scale, &scale, sizeof scale);
  if (!std::isfinite(attributes->scale)) return message->say("serialised state: scale is not a finite number");
  if (reader.left() > 0) return message->say("serialised state: %zu bytes too many", reader.left());
  return true;
}

}  // namespace vmexport::trt
