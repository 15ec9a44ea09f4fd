#include "json.h"

#include <cmath>
#include <cstdio>

#include "text.h"

namespace vmexport::runner {
namespace {

// What a terminal would obey is written as \u escapes, which mean the same; a byte that is no UTF-8 as U+FFFD.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size();) {
    const Letter letter = letter_at(text, at);
    if (letter.code == '"' || letter.code == '\\') {
      out += '\\';
      out += text[at];
    } else if (letter.code == '\n') {
      out += "\\n";
    } else if (!letter.valid || is_obeyed(letter.code)) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(letter.valid ? letter.code : 0xfffd) & 0xffffu);
      out += code;
    } else {
      out += text.substr(at, letter.size);
    }
    at += letter.size;
  }
  return out + "\"";
}

// Whole numbers as such, others with the digits that bring them back.
std::string number_text(double number) {
  char text[40];
  std::snprintf(text, sizeof text, std::fabs(number) < 1e15 && number == std::floor(number) ? "%.0f" : "%.9g", number);
  return text;
}

}  // namespace

Json::Json(double value) {
  if (!std::isfinite(value)) return;
  kind_ = Kind::kNumber;
  number_ = value;
}

Json& Json::set(const std::string& key, Json value) {
  entries_.emplace_back(key, std::move(value));
  return *this;
}

Json& Json::push(Json value) { return set("", std::move(value)); }

const Json& Json::operator[](const std::string& key) const {
  static const Json kNothing;
  if (kind_ == Kind::kObject)
    for (const auto& [name, value] : entries_)
      if (name == key) return value;
  return kNothing;
}

std::string Json::dump(int level) const {
  switch (kind_) {
    case Kind::kNull: return "null";
    case Kind::kBool: return number_ != 0 ? "true" : "false";
    case Kind::kNumber: return number_text(number_);
    case Kind::kString: return quoted(text_);
    case Kind::kArray:
    case Kind::kObject: break;
  }
  const bool is_object = kind_ == Kind::kObject;
  if (entries_.empty()) return is_object ? "{}" : "[]";
  const std::string indent(2 * static_cast<size_t>(level) + 2, ' '), back(2 * static_cast<size_t>(level), ' ');
  std::string out;
  for (const auto& [key, value] : entries_)
    out += (out.empty() ? "\n" : ",\n") + indent + (is_object ? quoted(key) + ": " : "") + value.dump(level + 1);
  return (is_object ? "{" : "[") + out + "\n" + back + (is_object ? "}" : "]");
}

}  // namespace vmexport::runner
