#include "text.h"

#include <cstdio>

namespace vmexport::runner {
namespace {

constexpr const char* kGutter = "\n     | ";

std::string escape(uint32_t code) {
  if (code == '\n') return "\\n";
  if (code == '\r') return "\\r";
  if (code == '\t') return "\\t";
  char text[16];
  std::snprintf(text, sizeof text, code < 0x100 ? "\\x%02x" : "\\u%04x", static_cast<unsigned>(code));
  return text;
}

bool is_tail(const std::string& text, size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
}

}  // namespace

Letter letter_at(const std::string& text, size_t at) {
  const uint32_t first = static_cast<unsigned char>(text[at]);
  const Letter broken = {first, 1, false};
  if (first < 0x80) return {first, 1, true};
  if (first < 0xc2 || first > 0xf4) return broken;
  const size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  uint32_t code = first & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if (!is_tail(text, at + i)) return broken;
    code = code << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3fu);
  }
  const uint32_t least = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
  if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return broken;
  return {code, size, true};
}

bool is_obeyed(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e || code == 0x200f ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

std::string harmless(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const Letter letter = letter_at(text, at);
    out += !letter.valid || is_obeyed(letter.code) ? escape(letter.code) : text.substr(at, letter.size);
    at += letter.size;
  }
  return out;
}

std::string harmless_lines(const std::string& text) {
  std::string out;
  for (size_t begin = 0;;) {
    const size_t end = text.find('\n', begin);
    out += harmless(text.substr(begin, end - begin));
    if (end == std::string::npos) return out;
    out += kGutter;
    begin = end + 1;
  }
}

}  // namespace vmexport::runner
