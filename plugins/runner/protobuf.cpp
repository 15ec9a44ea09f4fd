#include "protobuf.h"

namespace vmexport::runner {

bool ProtobufReader::read_varint(uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at_ >= message_.size()) return false;
    const uint8_t byte = static_cast<uint8_t>(message_[at_++]);
    if (shift == 63 && byte > 1) return false;  // does not fit into 64 bits
    *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool ProtobufReader::take(uint64_t size) {
  if (size > message_.size() - at_) return false;
  bytes_ = message_.substr(at_, size);
  at_ += size;
  return true;
}

bool ProtobufReader::read_content() {
  uint64_t size = 0;
  switch (wire_type_) {
    case kVarint: return read_varint(&varint_);
    case kFixed64: return take(8);
    case kBytes: return read_varint(&size) && take(size);
    case kFixed32: return take(4);
    default: return false;  // groups ended with the second version of the language, and ONNX never had any
  }
}

bool ProtobufReader::next() {
  if (damaged_ || at_ == message_.size()) return false;
  begin_ = at_;
  bytes_ = {};
  varint_ = 0;
  uint64_t tag = 0;
  const bool has_tag = read_varint(&tag) && tag >> 3 != 0 && tag >> 3 < (uint64_t{1} << 29);
  field_ = static_cast<uint32_t>(tag >> 3);
  wire_type_ = static_cast<uint32_t>(tag & 7);
  damaged_ = !has_tag || !read_content();
  return !damaged_;
}

}  // namespace vmexport::runner
