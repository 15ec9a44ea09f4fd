// NPY files: what NumPy writes is read bit by bit, everything else is refused with a reason.
#include <string.h>

#include <limits>

#include "../../runner/files.h"
#include "../../runner/npy.h"
#include "checks.h"

namespace checks {
namespace {

using vmexport::runner::Array;
using vmexport::runner::Exit;
using vmexport::runner::parse_npy;

// A file of a version with any header text and data.
std::string file(const std::string& header, const std::string& data, char major = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += major;
  bytes += '\0';
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return bytes + header + data;
}

std::string dictionary(const std::string& descr, const std::string& order, const std::string& shape) {
  return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

std::string floats(size_t count) {
  std::string data(4 * count, '\0');
  for (size_t i = 0; i < count; ++i) {
    const float value = static_cast<float>(i) - 1.5f;
    memcpy(data.data() + 4 * i, &value, 4);
  }
  return data;
}

void refuse_header(const std::string& header, const std::string& words) {
  refused(Exit::kBadInput, words, "header " + header, [&] { parse_npy(file(header, floats(6)), "clip.npy"); });
}

void test_good() {
  const std::string spellings[] = {
      dictionary("'<f4'", "False", "(2, 3)"),
      "{\"shape\": (2,3,), \"fortran_order\":False,\"descr\":\"<f4\"}",
      "  {'descr' : '<f4' ,\n 'shape': (2, 3), 'fortran_order': False}      \n",
  };
  for (const std::string& header : spellings) {
    for (const char major : {1, 2, 3}) {
      const Array array = parse_npy(file(header, floats(6), major), "clip.npy");
      expect(array.shape == std::vector<int64_t>({2, 3}) && array.data[0] == -1.5f && array.data[5] == 3.5f, header);
    }
  }
  const Array line = parse_npy(file(dictionary("'<f4'", "True", "(6,)"), floats(6)), "clip.npy");
  expect(line.shape == std::vector<int64_t>({6}), "one dimension is in both orders");
  const Array scalar = parse_npy(file(dictionary("'<f4'", "False", "()"), floats(1)), "clip.npy");
  expect(scalar.shape.empty() && scalar.data.size() == 1, "no dimension");
  const std::string halves("\x00\x3c\x00\xc0\xff\x7b\x01\x00", 8);  // 1, -2, 65504, 2^-24
  const Array half = parse_npy(file(dictionary("'<f2'", "False", "(4,)"), halves), "clip.npy");
  expect(half.data == std::vector<float>({1.0f, -2.0f, 65504.0f, 0x1p-24f}), "float16");
}

void test_round_trip() {
  Array array{{2, 3}, {0.0f, -0.0f, 1e-45f, 3e38f, std::numeric_limits<float>::infinity(), 7.0f}};
  const std::string bytes = format_npy(array);
  const Array back = parse_npy(bytes, "logits.npy");
  expect(back.shape == array.shape && memcmp(back.data.data(), array.data.data(), 24) == 0, "round trip");
  expect((bytes.size() - 24) % 64 == 0 && bytes[bytes.size() - 25] == '\n', "data begin at a multiple of 64");
  for (size_t size = 0; size < bytes.size(); ++size)
    refused(Exit::kBadInput, "", "cut to " + std::to_string(size),
            [&] { parse_npy(bytes.substr(0, size), "clip.npy"); });
  refused(Exit::kBadInput, "longer than its shape", "one byte more", [&] { parse_npy(bytes + "x", "clip.npy"); });
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int change : {1, 0x20, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      survives("byte " + std::to_string(at), [&] { parse_npy(damaged, "clip.npy"); });
    }
  }
}

void test_types() {
  const auto refuse_type = [](const std::string& descr, const std::string& words) {
    refuse_header(dictionary(descr, "False", "(2, 3)"), words);
  };
  refuse_type("'|O'", "never read");
  refuse_type("'O'", "never read");
  refuse_type("'>f4'", "big endian");
  refuse_type("'<f8'", "astype(\"<f4\")");
  refuse_type("'|u1'", "got '|u1'");
  refuse_type("'<c8'", "got '<c8'");
  refuse_type("[('a', '<f4'), ('b', '<f4')]", "records");
  refuse_header(dictionary("'<f4'", "True", "(2, 3)"), "ascontiguousarray");
}

void test_bad_headers() {
  const auto refuse_shape = [](const std::string& shape, const std::string& words) {
    refuse_header(dictionary("'<f4'", "False", shape), words);
  };
  refuse_shape("(2, -3)", "expected a size");
  refuse_shape("(0, 3)", "is empty");
  refuse_shape("(4294967296, 4294967296)", "absurd");
  refuse_shape("(9223372036854775807, 2)", "absurd");
  refuse_shape("(99999999999999999999, 1)", "64 bits");
  refuse_shape("(6)", "tuple");
  refuse_shape("(2, 3", "expected a size");
  refuse_shape("(2 3)", "expected ','");
  refuse_shape("[2, 3]", "expected '('");
  refuse_shape("(2.0, 3)", "expected ','");
  refuse_shape("(" + std::string(200, '1') + ")", "64 bits");
  std::string many = "(";
  for (int i = 0; i < 40; ++i) many += "1, ";
  refuse_shape(many + ")", "32 dimensions");
  refuse_header("", "expected '{'");
  refuse_header("{}", "not all are there");
  refuse_header("{'descr': '<f4', 'fortran_order': False}", "not all are there");
  refuse_header("{'descr': '<f4', 'descr': '<f4'}", "stands twice");
  refuse_header("{'other': 1}", "got 'other'");
  refuse_header("{'descr': '<f4'", "expected ','");
  refuse_header("{'descr': '<f4", "does not end");
  refuse_header(
      "{'descr': '<\\x66"
      "4'}",
      "backslash");
  refuse_header("{'fortran_order': 0}", "True or False");
  refuse_header(dictionary("'<f4'", "False", "(2, 3)") + "__import__('os')", "text follows");
  const std::string good = file(dictionary("'<f4'", "False", "(2, 3)"), floats(6));
  const auto refuse_bytes = [](std::string bytes, size_t at, char value, const std::string& words) {
    bytes[at] = value;
    refused(Exit::kBadInput, words, words, [&] { parse_npy(bytes, "clip.npy"); });
  };
  refuse_bytes(good, 1, 'n', "not an NPY file");
  refuse_bytes(good, 6, 4, "got 4.0");
  refuse_bytes(good, 7, 1, "got 1.1");
  refuse_bytes(file(dictionary("'<f4'", "False", "(2, 3)"), floats(6), 2), 10, 0x7f, "65536");
}

void test_files_of_clips() {
  const auto write = [](const std::vector<int64_t>& shape, float last) {
    Array array{shape, {}};
    size_t count = 1;
    for (const int64_t size : shape) count *= static_cast<size_t>(size);
    array.data.assign(count, 0.5f);
    array.data.back() = last;
    vmexport::runner::write_file(folder() + "/clip.npy", format_npy(array));
    return folder() + "/clip.npy";
  };
  expect(vmexport::runner::read_clips(write({2, 3, 2, 4, 4}, 1)).shape[0] == 2, "clips");
  refused(Exit::kBadInput, "clip[None]", "one clip", [&] { vmexport::runner::read_clips(write({3, 2, 4, 4}, 1)); });
  refused(Exit::kBadInput, "(B, 3, T, H, W)", "channels last",
          [&] { vmexport::runner::read_clips(write({1, 2, 4, 4, 3}, 1)); });
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()})
    refused(Exit::kBadInput, "NaN or infinity", "bad value",
            [&] { vmexport::runner::read_clips(write({1, 3, 2, 4, 4}, bad)); });
  expect(vmexport::runner::read_logits(write({2, 7}, 1)).shape[1] == 7, "logits");
  refused(Exit::kBadInput, "(B, classes)", "logits", [&] { vmexport::runner::read_logits(write({7}, 1)); });
}

}  // namespace

void test_npy() {
  test_good();
  test_round_trip();
  test_types();
  test_bad_headers();
  test_files_of_clips();
}

}  // namespace checks
