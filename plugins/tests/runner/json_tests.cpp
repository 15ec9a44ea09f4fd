// JSON: written and read back, refused where it is not JSON.
#include <cmath>

#include "../../runner/json.h"
#include "checks.h"

namespace checks {
namespace {

using vmexport::runner::Exit;
using vmexport::runner::Json;

void test_round_trip() {
  const Json written = Json::object()
                           .set("text", "quote \" backslash \\ line\n tab\t \x01 Δ")
                           .set("whole", uint64_t{12345678901234})
                           .set("small", 1.25e-7)
                           .set("nan", std::nan(""))
                           .set("yes", true)
                           .set("list", Json::array().push(1).push(Json::object()).push(Json::array()))
                           .set("nothing", Json());
  const std::string text = written.dump();
  const Json read = Json::parse(text, "x.json");
  expect(read.dump() == text, "round trip of " + text);
  expect(read["text"].text() == written["text"].text(), "text");
  expect(read["whole"].number() == 12345678901234 && read["small"].number() == 1.25e-7, "numbers");
  expect(read["nan"].kind() == Json::Kind::kNull && read["missing"].kind() == Json::Kind::kNull, "null");
  expect(read["list"].entries().size() == 3 && read["yes"].number() == 1, "list");
  for (size_t size = 0; size < text.size(); ++size)
    refused(Exit::kBadInput, "is not JSON", "cut", [&] { Json::parse(text.substr(0, size), "x.json"); });
  for (size_t at = 0; at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x5a);
    survives("byte " + std::to_string(at), [&] { Json::parse(damaged, "x.json"); });
  }
}

void test_escapes() {
  expect(Json::parse(R"("\u0041\u00e9\u20ac\ud83d\ude00\/\b")", "x").text() == "A\u00e9\u20ac\U0001F600/\b", "escapes");
  for (const char* bad : {R"("\ud83d")", R"("\ud83dx")", R"("\ude00")", R"("\ud83d\u0041")", R"("\u12g4")", R"("\x")",
                          "\"a\nb\"", "\"", "\"\\"})
    refused(Exit::kBadInput, "is not JSON", bad, [&] { Json::parse(bad, "x"); });
}

void test_refused() {
  for (const char* bad : {"", " ", "{", "[1,]", "{\"a\" 1}", "{1: 2}", "[1 2]", "tru", "nul", "+1", ".5", "1-2", "--1",
                          "1e", "{} {}", "'a'", "NaN", "Infinity"})
    refused(Exit::kBadInput, "is not JSON", bad, [&] { Json::parse(bad, "x"); });
  for (const char* bad : {"1e999", "-1e999"})
    refused(Exit::kBadInput, "beyond all that a double holds", bad, [&] { Json::parse(bad, "x"); });
  for (const char* bad : {R"({"a": 1, "a": 2})", R"({"a": 1, "\u0061": 2})"})
    refused(Exit::kBadInput, "is there twice", bad, [&] { Json::parse(bad, "x"); });
  refused(Exit::kBadInput, "64 levels", "deep", [] { Json::parse(std::string(100000, '['), "x"); });
}

}  // namespace

void test_json() {
  test_round_trip();
  test_escapes();
  test_refused();
}

}  // namespace checks
