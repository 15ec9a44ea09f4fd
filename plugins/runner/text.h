// Text from elsewhere (files' names, sidecars, messages of libraries) made fit for a terminal, as vmexport/text.py
// does.
#ifndef VMEXPORT_RUNNER_TEXT_H
#define VMEXPORT_RUNNER_TEXT_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace vmexport::runner {

// The letter that begins at a byte of a UTF-8 text.
struct Letter {
  uint32_t code;  // where it is no UTF-8: the byte
  size_t size;    // bytes
  bool valid;
};

Letter letter_at(const std::string& text, size_t at);

// Whether a terminal obeys it instead of showing it: control characters, marks of direction, separators of lines.
bool is_obeyed(uint32_t code);

// One line: what a terminal would obey, line ends too, and bytes that are no UTF-8 become escapes such as \x1b.
std::string harmless(const std::string& text);

// The same for a text of several lines; further ones stand behind a gutter, so that none looks like our own.
std::string harmless_lines(const std::string& text);

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_TEXT_H
