// JSON: written for other programs, and read from the sidecar of an engine.
#ifndef VMEXPORT_RUNNER_JSON_H
#define VMEXPORT_RUNNER_JSON_H

#include <stdint.h>

#include <string>
#include <utility>
#include <vector>

namespace vmexport::runner {

// One value. Objects keep the order of their entries.
class Json {
 public:
  enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };

  Json() = default;
  Json(bool value) : kind_(Kind::kBool), number_(value) {}
  Json(double value);  // null where it is not finite: JSON has no such numbers
  Json(int64_t value) : kind_(Kind::kNumber), number_(static_cast<double>(value)) {}
  Json(int value) : Json(static_cast<int64_t>(value)) {}
  Json(uint64_t value) : kind_(Kind::kNumber), number_(static_cast<double>(value)) {}
  Json(const std::string& value) : kind_(Kind::kString), text_(value) {}
  Json(const char* value) : Json(std::string(value)) {}

  static Json object() { return Json(Kind::kObject); }
  static Json array() { return Json(Kind::kArray); }

  // Parses a whole text. Throws kBadInput, naming the place; `name` is the file's. At most 64 levels deep.
  static Json parse(const std::string& text, const std::string& name);

  Json& set(const std::string& key, Json value);
  Json& push(Json value);

  Kind kind() const { return kind_; }
  double number() const { return number_; }
  const std::string& text() const { return text_; }  // empty where it is no string
  const std::vector<std::pair<std::string, Json>>& entries() const { return entries_; }
  // The entry of an object; null where there is none.
  const Json& operator[](const std::string& key) const;

  // Indented by two spaces a level.
  std::string dump(int level = 0) const;

 private:
  explicit Json(Kind kind) : kind_(kind) {}

  Kind kind_ = Kind::kNull;
  double number_ = 0;
  std::string text_;
  std::vector<std::pair<std::string, Json>> entries_;  // of an array: without keys
};

}  // namespace vmexport::runner

#endif  // VMEXPORT_RUNNER_JSON_H
