#include "npy_header.h"

#include "error.h"

namespace vmexport::runner {
namespace {

constexpr size_t kMostDimensions = 32;  // NumPy's own limit for a long time

// Reads the subset of Python's literals that these headers consist of.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  NpyHeader read() {
    NpyHeader header;
    bool seen[3] = {};
    expect('{');
    while (!accept('}')) {
      const std::string key = read_string();
      expect(':');
      const int which = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : -1;
      if (which < 0) fail("expected the keys descr, fortran_order and shape, got '" + printable(key) + "'");
      if (seen[which]) fail("the key " + key + " stands twice");
      seen[which] = true;
      if (which == 0) header.descr = read_descr();
      if (which == 1) header.fortran_order = read_bool();
      if (which == 2) header.shape = read_shape();
      if (accept('}')) break;
      expect(',');
    }
    skip_space();
    if (at_ != text_.size()) fail("text follows the dictionary");
    if (!seen[0] || !seen[1] || !seen[2]) fail("expected the keys descr, fortran_order and shape, not all are there");
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(Exit::kBadInput, name_ + " has a damaged NPY header", why + " (character " + std::to_string(at_) + ")",
                "write it again: numpy.save(\"clip.npy\", clip)");
  }

  static std::string printable(const std::string& text) {
    std::string out;
    for (const char c : text.substr(0, 40)) out += c >= ' ' && c <= '~' ? c : '?';
    return out;
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }

  bool accept(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) fail(std::string("expected '") + wanted + "'");
  }

  std::string read_string() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') fail("expected a string");
    const size_t end = text_.find(quote, ++at_);
    if (end == std::string_view::npos) fail("a string does not end");
    const std::string value(text_.substr(at_, end - at_));
    if (value.find('\\') != std::string::npos) fail("expected a plain string without backslashes");
    at_ = end + 1;
    return value;
  }

  // A list here is the type of a record array.
  std::string read_descr() {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[')
      throw Error(Exit::kBadInput, name_ + " holds records", "expected one number an element ('<f4' or '<f2')",
                  "save one field of it: numpy.save(\"clip.npy\", numpy.ascontiguousarray(clip[\"field\"]))");
    return read_string();
  }

  bool read_bool() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return word == "True";
    }
    fail("expected True or False");
  }

  std::vector<int64_t> read_shape() {
    std::vector<int64_t> shape;
    expect('(');
    while (!accept(')')) {
      if (shape.size() == kMostDimensions) fail("more than 32 dimensions");
      shape.push_back(read_size());
      if (accept(')')) {
        if (shape.size() == 1) fail("expected a tuple: one size is written (n,)");
        break;
      }
      expect(',');
    }
    return shape;
  }

  int64_t read_size() {
    skip_space();
    const size_t first = at_;
    int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text_[at_] - '0', &value))
        fail("a size of the shape does not fit into 64 bits");
    }
    if (at_ == first) fail("expected a size, 0 or larger");
    return value;
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
};

}  // namespace

NpyHeader parse_npy_header(std::string_view text, const std::string& name) { return HeaderReader(text, name).read(); }

}  // namespace vmexport::runner
