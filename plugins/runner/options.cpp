#include "options.h"

#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "error.h"

namespace vmexport::runner {
namespace {

constexpr int kDefaultRuns = 200;
constexpr int64_t kMostRuns = 1000000;
constexpr int64_t kMostBatch = 1 << 20;

[[noreturn]] void refuse(const std::string& what, const std::string& why = "") {
  throw Error(Exit::kUsage, what, why, "vmexport-run --help");
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

int64_t read_number(const std::string& option, const std::string& text, int64_t least, int64_t most) {
  const int64_t value = is_number(text) && text.size() < 19 ? std::stoll(text) : -1;
  if (value < least || value > most)
    refuse(option + ": expected a number from " + std::to_string(least) + " to " + std::to_string(most) + ", got " +
           text);
  return value;
}

BatchProfile read_batch(const std::string& option, const std::string& text) {
  const std::optional<BatchProfile> profile = parse_profile(text);
  if (!profile) refuse(option + ": expected one batch size or min:opt:max such as 1:4:8, got " + text);
  return *profile;
}

uint64_t read_bytes(const std::string& option, const std::string& text) {
  static const std::map<std::string, int> kUnits = {{"", 0},     {"K", 10},   {"M", 20},  {"G", 30},
                                                    {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto unit = kUnits.find(text.substr(digits));
  if (digits == 0 || digits > 9 || unit == kUnits.end() || std::stoull(text.substr(0, digits)) == 0)
    refuse(option + ": expected a size such as 512M or 2G, got " + text);
  return static_cast<uint64_t>(std::stoull(text.substr(0, digits))) << unit->second;
}

Tolerance read_tolerance(const std::string& option, const std::string& text) {
  if (const Tolerance* tolerance = find_tolerance(text)) return *tolerance;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(value) || value < 0 || value >= 1)
    refuse(option + ": expected fp32, fp16, bf16, or a relative difference from 0 to below 1, got " + text);
  // At a relative difference of r of the largest logit the cosine of a clip may fall by about r.
  return {text, value, std::max(0.0, 1 - value)};
}

bool read_switch(const std::string& option, const std::string& text) {
  if (text != "on" && text != "off") refuse(option + ": expected on or off, got " + text);
  return text == "on";
}

bool has_suffix(const std::string& text, const std::string& suffix) {
  return text.size() > suffix.size() && text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// Goes through the words once; each option knows how to store itself.
class Parser {
 public:
  explicit Parser(const std::vector<std::string>& words) : words_(words) {
    const auto text = [this](std::string* target) {
      return [target](const std::string&, const std::string& value) { *target = value; };
    };
    with_value_ = {
        {"--output", text(&options_.output)},
        {"--expect", text(&options_.expect)},
        {"--save-engine", text(&options_.save_engine)},
        {"--plugin", text(&options_.plugin)},
        {"--lib-dir", text(&options_.library_folder)},
        {"--tolerance", [this](auto& name, auto& value) { options_.tolerance = read_tolerance(name, value); }},
        {"--warmup",
         [this](auto& name, auto& value) { options_.warmup_runs = read_number(name, value, 0, kMostRuns); }},
        {"--device", [this](auto& name, auto& value) { options_.device = read_number(name, value, 0, 1023); }},
        {"--batch", [this](auto& name, auto& value) { options_.batch = read_batch(name, value); }},
        {"--workspace", [this](auto& name, auto& value) { options_.workspace_bytes = read_bytes(name, value); }},
        {"--cuda-graph", [this](auto& name, auto& value) { options_.cuda_graph = read_switch(name, value); }},
    };
    flags_ = {{"--fp16", &options_.fp16},       {"--own-kernels", &options_.own_kernels},
              {"--rtx", &options_.rtx},         {"--json", &options_.json},
              {"--verbose", &options_.verbose}, {"--allow-engine-code", &options_.allow_engine_code}};
  }

  Options parse() {
    bool only_files = false;
    while (at_ < words_.size()) {
      const std::string& word = words_[at_++];
      if (!only_files && word == "--") {
        only_files = true;
      } else if (!only_files && word.size() > 1 && word[0] == '-') {
        read_option(word);
        if (options_.action != Action::kRun) return options_;
      } else {
        files_.push_back(word);
      }
    }
    check();
    return options_;
  }

  bool given(const std::string& name) const { return given_.count(name) != 0; }

 private:
  void read_option(const std::string& word) {
    static const std::map<std::string, std::string> kShort = {
        {"-o", "--output"}, {"-e", "--save-engine"}, {"-v", "--verbose"}, {"-h", "--help"}};
    const size_t equals = word.compare(0, 2, "--") == 0 ? word.find('=') : std::string::npos;
    const auto full = kShort.find(word);
    const std::string name = full != kShort.end() ? full->second : word.substr(0, equals);
    const bool attached = equals != std::string::npos;
    const std::string value = attached ? word.substr(equals + 1) : "";
    if (!given_.insert(name).second) refuse(name + " is given twice");
    if (name == "--bench") {
      read_bench(attached, value);
    } else if (const auto store = with_value_.find(name); store != with_value_.end()) {
      if (attached && value.empty()) refuse(name + " needs a value");
      store->second(name, attached ? value : next_value(name));
    } else {
      if (attached) refuse(name + " takes no value, got " + value);
      read_flag(name);
    }
  }

  void read_flag(const std::string& name) {
    if (name == "--help")
      options_.action = Action::kHelp;
    else if (name == "--version")
      options_.action = Action::kVersion;
    else if (const auto flag = flags_.find(name); flag != flags_.end())
      *flag->second = true;
    else
      refuse("unknown option " + name);
  }

  // The number may be left out, so that only a word of digits is one.
  void read_bench(bool attached, const std::string& value) {
    options_.bench_runs = kDefaultRuns;
    if (attached)
      options_.bench_runs = read_number("--bench", value, 1, kMostRuns);
    else if (at_ < words_.size() && is_number(words_[at_]))
      options_.bench_runs = read_number("--bench", words_[at_++], 1, kMostRuns);
  }

  const std::string& next_value(const std::string& name) {
    if (at_ == words_.size() || words_[at_].empty() || (words_[at_].size() > 1 && words_[at_][0] == '-'))
      refuse(name + " needs a value", at_ == words_.size() ? "nothing follows it" : "got " + words_[at_]);
    return words_[at_++];
  }

  void check() {
    if (files_.empty()) refuse("no model is given");
    if (files_.size() > 2) refuse("expected a model and one file of clips, got also " + files_[2]);
    options_.model = files_[0];
    if (files_.size() == 2) options_.clip = files_[1];
    check_suffixes();
    for (const char* name : {"--save-engine", "--batch", "--fp16", "--own-kernels", "--workspace"})
      if (!options_.is_onnx && given(name))
        refuse(std::string(name) + " belongs to building, and " + options_.model + " is built already");
    for (const char* name : {"--output", "--expect"})
      if (options_.clip.empty() && given(name)) refuse(std::string(name) + " needs clips", "no CLIP.npy is given");
    if (options_.build_only() && options_.save_engine.empty())
      refuse("nothing to do", "give clips to run on, --bench, or a place for the engine (-e)");
    if (given("--warmup") && options_.bench_runs == 0) refuse("--warmup belongs to --bench");
    if (given("--cuda-graph") && options_.build_only()) refuse("--cuda-graph needs something to run");
    if (given("--tolerance") && options_.expect.empty()) refuse("--tolerance belongs to --expect");
    if (options_.rtx && options_.fp16)
      refuse("--fp16 and --rtx exclude each other", "the precision is that of the file");
    check_outputs();
  }

  void check_suffixes() {
    options_.is_onnx = has_suffix(options_.model, ".onnx");
    bool is_engine = false;
    for (const char* suffix : {".engine", ".plan", ".trt"}) is_engine = is_engine || has_suffix(options_.model, suffix);
    if (!options_.is_onnx && !is_engine)
      refuse("expected a model named .onnx, .engine, .plan or .trt, got " + options_.model);
    if (!options_.clip.empty() && !has_suffix(options_.clip, ".npy"))
      refuse("expected clips named .npy, got " + options_.clip);
  }

  // No result may take the place of another one or of an input.
  void check_outputs() {
    std::set<std::string> taken = {options_.model, options_.clip, options_.expect, options_.plugin};
    for (const std::string& output : {options_.output, options_.save_engine})
      if (!output.empty() && !taken.insert(output).second) refuse(output + " is written to and used otherwise");
  }

  const std::vector<std::string>& words_;
  size_t at_ = 0;
  Options options_;
  std::vector<std::string> files_;
  std::set<std::string> given_;
  std::map<std::string, std::function<void(const std::string&, const std::string&)>> with_value_;
  std::map<std::string, bool*> flags_;
};

}  // namespace

std::string profile_text(const BatchProfile& profile) {
  if (profile.min == profile.max) return std::to_string(profile.min);
  return std::to_string(profile.min) + ":" + std::to_string(profile.opt) + ":" + std::to_string(profile.max);
}

std::optional<BatchProfile> parse_profile(const std::string& text) {
  std::vector<int64_t> sizes;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(':', begin), text.size());
    const std::string digits = text.substr(begin, end - begin);
    if (!is_number(digits) || digits.size() > 7) return std::nullopt;
    sizes.push_back(std::stoll(digits));
    begin = end + 1;
  }
  if (sizes.size() == 1) sizes = {sizes[0], sizes[0], sizes[0]};
  const bool rises = sizes.size() == 3 && 1 <= sizes[0] && sizes[0] <= sizes[1] && sizes[1] <= sizes[2];
  if (!rises || sizes[2] > kMostBatch) return std::nullopt;
  return BatchProfile{sizes[0], sizes[1], sizes[2]};
}

Options parse_options(const std::vector<std::string>& words) { return Parser(words).parse(); }

}  // namespace vmexport::runner
