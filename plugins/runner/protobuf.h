// Walks the fields of a serialised Protocol Buffers message without knowing its schema (the wire format: varint, 64
// bit, length-delimited and 32 bit fields). Nothing is copied; every length is checked against what is left.
#ifndef VMEXPORT_RUNNER_PROTOBUF_H
#define VMEXPORT_RUNNER_PROTOBUF_H

#include <stdint.h>

#include <string_view>

namespace vmexport::runner {

class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view message) : message_(message) {}

  // Advances to the next field; false at the end of the message, or where it is damaged.
  bool next();
  bool damaged() const { return damaged_; }

  uint32_t field() const { return field_; }
  bool is_bytes() const { return wire_type_ == kBytes; }
  bool is_varint() const { return wire_type_ == kVarint; }
  std::string_view bytes() const { return bytes_; }  // content of a length-delimited field
  uint64_t varint() const { return varint_; }
  // The field as it stands in the message, tag and length included.
  std::string_view whole() const { return message_.substr(begin_, at_ - begin_); }

 private:
  enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  bool read_varint(uint64_t* value);
  bool take(uint64_t size);
  bool read_content();

  std::string_view message_, bytes_;
  size_t begin_ = 0, at_ = 0;
  uint32_t field_ = 0, wire_type_ = 0;
  uint64_t varint_ = 0;
  bool damaged_ = false;
};

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_PROTOBUF_H
