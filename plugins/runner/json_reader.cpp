#include <cmath>
#include <cstdlib>
#include <set>

#include "error.h"
#include "json.h"

namespace vmexport::runner {
namespace {

constexpr int kMostLevels = 64;

class JsonReader {
 public:
  JsonReader(const std::string& text, const std::string& name) : text_(text), name_(name) {}

  Json read_whole() {
    Json value = read_value(0);
    skip_space();
    if (at_ != text_.size()) fail("text follows the value");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(Exit::kBadInput, name_ + " is not JSON", why + " (character " + std::to_string(at_) + ")",
                "write or copy it again");
  }

  void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }

  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool accept(char wanted) {
    if (peek() != wanted || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) fail(std::string("expected ") + wanted);
  }

  Json read_value(int level) {
    if (level > kMostLevels) fail("more than 64 levels");
    switch (peek()) {
      case '{': return read_entries(Json::object(), '}', level);
      case '[': return read_entries(Json::array(), ']', level);
      case '"': return Json(read_string());
      case 't': return read_word("true", Json(true));
      case 'f': return read_word("false", Json(false));
      case 'n': return read_word("null", Json());
      default: return read_number();
    }
  }

  Json read_entries(Json target, char end, int level) {
    ++at_;
    if (accept(end)) return target;
    std::set<std::string> keys;
    do {
      std::string key;
      if (end == '}') {
        if (peek() != '"') fail("expected a key");
        key = read_string();
        if (!keys.insert(key).second) fail("the key " + key + " is there twice");
        expect(':');
      }
      target.set(key, read_value(level + 1));
    } while (accept(','));
    expect(end);
    return target;
  }

  Json read_word(const std::string& word, Json value) {
    if (text_.compare(at_, word.size(), word) != 0) fail("expected a value");
    at_ += word.size();
    return value;
  }

  Json read_number() {
    const size_t end = std::min(text_.find_first_not_of("+-.0123456789eE", at_), text_.size());
    const std::string digits = text_.substr(at_, end - at_);
    char* stop = nullptr;
    const double value = std::strtod(digits.c_str(), &stop);
    if (digits.empty() || *stop != '\0' || digits[0] == '+' || digits[0] == '.') fail("expected a value");
    if (!std::isfinite(value)) fail("a number beyond all that a double holds");
    at_ = end;
    return Json(value);
  }

  std::string read_string() {
    std::string out;
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (static_cast<unsigned char>(text_[at_]) < 0x20) fail("a control character in a string");
      if (text_[at_] == '\\') {
        ++at_;
        read_escape(&out);
      } else {
        out += text_[at_];
      }
    }
    if (at_ == text_.size()) fail("a string does not end");
    ++at_;
    return out;
  }

  void read_escape(std::string* out) {
    static const std::string kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    const char name = at_ < text_.size() ? text_[at_] : '\0';
    if (name == 'u') return append_utf8(read_code(), out);
    const size_t index = name == '\0' ? std::string::npos : kNames.find(name);
    if (index == std::string::npos) fail("an unknown escape");
    *out += kMeanings[index];
  }

  // The code after \u, both halves of a pair included; `at_` is left on the last digit.
  uint32_t read_code() {
    const uint32_t first = read_hex();
    if (first < 0xd800 || first > 0xdfff) return first;
    if (first > 0xdbff || text_.compare(at_ + 1, 2, "\\u") != 0) fail("half of a surrogate pair");
    at_ += 2;
    const uint32_t second = read_hex();
    if (second < 0xdc00 || second > 0xdfff) fail("half of a surrogate pair");
    return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
  }

  uint32_t read_hex() {
    uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      const char digit = ++at_ < text_.size() ? text_[at_] : '\0';
      const std::string kDigits = "0123456789abcdef";
      const size_t value =
          digit == '\0' ? std::string::npos : kDigits.find(static_cast<char>(digit | (digit > '9' ? 0x20 : 0)));
      if (value == std::string::npos) fail("expected four hexadecimal digits");
      code = code * 16 + static_cast<uint32_t>(value);
    }
    return code;
  }

  static void append_utf8(uint32_t code, std::string* out) {
    const auto tail = [out](uint32_t bits) { *out += static_cast<char>(0x80 | (bits & 0x3f)); };
    if (code < 0x80) {
      *out += static_cast<char>(code);
    } else if (code < 0x800) {
      *out += static_cast<char>(0xc0 | code >> 6);
      tail(code);
    } else if (code < 0x10000) {
      *out += static_cast<char>(0xe0 | code >> 12);
      tail(code >> 6);
      tail(code);
    } else {
      *out += static_cast<char>(0xf0 | code >> 18);
      tail(code >> 12);
      tail(code >> 6);
      tail(code);
    }
  }

  const std::string& text_;
  const std::string& name_;
  size_t at_ = 0;
};

}  // namespace

Json Json::parse(const std::string& text, const std::string& name) { return JsonReader(text, name).read_whole(); }

}  // namespace vmexport::runner
