#include "npy.h"

#include <string.h>

#include <cmath>

#include "../scan/half.h"
#include "error.h"
#include "files.h"
#include "npy_header.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the files are little endian and are copied as they are");

namespace vmexport::runner {
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr size_t kMagicSize = 6;
constexpr size_t kMostHeader = 65536;
constexpr size_t kAlignment = 64;                    // of the data, in the file
constexpr uint64_t kMostBytes = uint64_t{16} << 30;  // of a file

[[noreturn]] void refuse(const std::string& what, const std::string& why, const std::string& fix) {
  throw Error(Exit::kBadInput, what, why, fix);
}

// Where the header's text begins and how long it is.
struct Extent {
  size_t begin, size;
};

Extent header_extent(const std::string& bytes, const std::string& name) {
  const std::string again = "write it again: numpy.save(\"clip.npy\", clip)";
  if (bytes.compare(0, kMagicSize, kMagic, kMagicSize) != 0)
    refuse(name + " is not an NPY file", "it does not begin with \\x93NUMPY", again);
  if (bytes.size() < kMagicSize + 2) refuse(name + " is truncated", "the file ends within its version", again);
  const int major = static_cast<unsigned char>(bytes[6]), minor = static_cast<unsigned char>(bytes[7]);
  if (major < 1 || major > 3 || minor != 0)
    refuse(name + " has an unknown NPY version",
           "expected 1.0, 2.0 or 3.0, got " + std::to_string(major) + "." + std::to_string(minor), again);
  const size_t width = major == 1 ? 2 : 4, begin = kMagicSize + 2 + width;
  if (bytes.size() < begin) refuse(name + " is truncated", "the file ends within the length of its header", again);
  size_t size = 0;
  memcpy(&size, bytes.data() + kMagicSize + 2, width);
  if (size > kMostHeader)
    refuse(name + " has a damaged NPY header", "expected at most 65536 bytes, got " + std::to_string(size), again);
  if (size > bytes.size() - begin) refuse(name + " is truncated", "the file ends within its header", again);
  return {begin, size};
}

// Bytes of an element. Every refusal names the line of Python that mends the file.
size_t element_size(const NpyHeader& header, const std::string& name) {
  const std::string& descr = header.descr;
  const std::string cast = "numpy.save(\"clip.npy\", clip.astype(\"<f4\"))";
  if (descr.find('O') != std::string::npos)
    refuse(name + " holds Python objects", "they are stored as a pickle, which is a program: it is never read", cast);
  if (descr == ">f4" || descr == ">f2")
    refuse(name + " is big endian", "expected '<f4' or '<f2', got '" + descr + "'", cast);
  if (descr != "<f4" && descr != "<f2")
    refuse(name + " has another type than a clip", "expected '<f4' (float32) or '<f2' (float16), got '" + descr + "'",
           cast);
  if (header.fortran_order && header.shape.size() > 1)
    refuse(name + " is in Fortran order", "expected C order",
           "numpy.save(\"clip.npy\", numpy.ascontiguousarray(clip))");
  return descr == "<f4" ? 4 : 2;
}

size_t element_count(const std::vector<int64_t>& shape, size_t element, const std::string& name) {
  uint64_t count = 1, total = 0;
  for (const int64_t size : shape) {
    if (size == 0) refuse(name + " is empty", "its shape is " + shape_text(shape), "save at least one clip");
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(size), &count) ||
        __builtin_mul_overflow(count, static_cast<uint64_t>(element), &total) || total > kMostBytes)
      refuse(name + " has an absurd shape", shape_text(shape) + " is more than 16 GiB", "check how it was written");
  }
  return count;
}

}  // namespace

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

Array parse_npy(const std::string& bytes, const std::string& name) {
  const Extent extent = header_extent(bytes, name);
  const NpyHeader header = parse_npy_header(std::string_view(bytes).substr(extent.begin, extent.size), name);
  const size_t element = element_size(header, name), count = element_count(header.shape, element, name);
  const size_t got = bytes.size() - extent.begin - extent.size;
  if (got != count * element)
    refuse(name + (got < count * element ? " is truncated" : " is longer than its shape says"),
           "expected " + std::to_string(count * element) + " bytes of data for " + shape_text(header.shape) + ", got " +
               std::to_string(got),
           "write or copy it again");
  const char* data = bytes.data() + extent.begin + extent.size;
  Array array{header.shape, std::vector<float>(count)};
  if (element == 4) {
    memcpy(array.data.data(), data, count * element);
    return array;
  }
  for (size_t i = 0; i < count; ++i) {
    float16 half;
    memcpy(&half, data + 2 * i, sizeof half);
    array.data[i] = to_float(half);
  }
  return array;
}

std::string format_npy(const Array& array) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape_text(array.shape) + ", }";
  const size_t unpadded = kMagicSize + 4 + header.size() + 1;
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  header += '\n';
  std::string bytes(kMagic, kMagicSize);
  bytes += std::string("\x01\x00", 2);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(array.data.data()), array.data.size() * sizeof(float));
  return bytes;
}

Array read_clips(const std::string& path) {
  Array array = parse_npy(read_file(path, kMostBytes), path);
  if (array.shape.size() != 5 || array.shape[1] != 3)
    refuse(path + " is not a batch of clips", "expected (B, 3, T, H, W), got " + shape_text(array.shape),
           "one clip (3, T, H, W) becomes a batch by clip[None]");
  for (size_t i = 0; i < array.data.size(); ++i) {
    if (!std::isfinite(array.data[i]))
      refuse(path + " holds NaN or infinity", "the first at element " + std::to_string(i), "check how it was prepared");
  }
  return array;
}

Array read_logits(const std::string& path) {
  Array array = parse_npy(read_file(path, kMostBytes), path);
  if (array.shape.size() != 2)
    refuse(path + " holds no logits", "expected (B, classes), got " + shape_text(array.shape),
           "give what -o wrote elsewhere");
  return array;
}

}  // namespace vmexport::runner
