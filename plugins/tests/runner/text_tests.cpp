// Names out of files are shown on a terminal and never obeyed, in messages, in the report and in JSON.
#include "../../runner/json.h"
#include "../../runner/report.h"
#include "../../runner/text.h"
#include "checks.h"

namespace checks {
namespace {

using vmexport::runner::Error;
using vmexport::runner::Exit;
using vmexport::runner::harmless;
using vmexport::runner::harmless_lines;
using vmexport::runner::Json;

const std::string kHostile = "a\x1b]0;own\x07\x1b[2J\xc2\x9b\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8\x7f\n  fix: rm\xff";

// Every byte of it is printable ASCII or belongs to a letter that a terminal shows; line ends as wanted.
void is_shown(const std::string& text, bool lines) {
  for (size_t at = 0; at < text.size();) {
    const vmexport::runner::Letter letter = vmexport::runner::letter_at(text, at);
    const bool shown = letter.valid && !vmexport::runner::is_obeyed(letter.code);
    expect(shown || (lines && text[at] == '\n'), "a terminal obeys " + std::to_string(letter.code));
    at += letter.size;
  }
}

void test_escapes() {
  expect(harmless(kHostile) == R"(a\x1b]0;own\x07\x1b[2J\x9b\u202e\u2066\u2028\x7f\n  fix: rm\xff)",
         harmless(kHostile));
  for (const char* plain : {"", "model.onnx", "弓道 é 🤸", "C:\\new"}) expect(harmless(plain) == plain, plain);
  expect(harmless_lines("one\ntwo\x1b") == "one\n     | two\\x1b", "lines");
  // cut short, too long a form, a surrogate, beyond the last letter
  for (const char* broken :
       {"\xe2\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xf8"})
    is_shown(harmless(broken), false);
}

void test_errors() {
  const std::string text = Error(Exit::kBadInput, kHostile, kHostile, kHostile).what();
  is_shown(text, true);
  expect(text.find("\n  fix") == std::string::npos, "a forged line: " + text);
  expect(text.find("\nwhy: a") != std::string::npos && text.find("\nfix: a") != std::string::npos, text);
}

void test_reports() {
  vmexport::runner::Report report;
  report.model = report.library = report.gpu = report.saved_engine = kHostile;
  is_shown(report_text(report), true);
  is_shown(report_json(report), true);
  expect(report_text(report).find("\n  fix") == std::string::npos, "a forged line in the report");
  const std::string known = kHostile.substr(0, kHostile.size() - 1);
  expect(Json::parse(Json(known).dump(), "x").text() == known, "JSON means the same");
}

}  // namespace

void test_text() {
  test_escapes();
  test_errors();
  test_reports();
}

}  // namespace checks
