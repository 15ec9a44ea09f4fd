#include "trt_refusals.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <utility>

#include "../tensorrt/log.h"
#include "trt_cases.h"

namespace trt_refusals {
namespace {

using namespace cases;
using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;
using trt_cases::Fields;

PluginField& field(Fields& fields, const char* name) {
  for (PluginField& one : fields.list) {
    if (std::strcmp(one.name, name) == 0) return one;
  }
  std::abort();
}

std::vector<unsigned char> bytes_of(const char* op, const Case& test) {
  const Fields fields(op, test);
  const auto collection = fields.collection();
  return trt_host::create(op, &collection)->bytes();
}

void check_fields(trt_host::Logger& logger) {
  const auto refuse = [&logger](const char* op, const char* words, const std::function<void(Fields&)>& change) {
    Fields fields(op, plain());
    change(fields);
    const auto collection = fields.collection();
    told(logger, trt_host::create(op, &collection) == nullptr, words);
#if VMEXPORT_TENSORRT_V3
    told(logger, trt_host::load(op, &collection) == nullptr, words, "engine:");
#endif
  };
  for (const char* name : {"directions", "tokens_per_frame", "class_token", "scale"}) {
    const std::string missing = std::string("attribute ") + name + ": expected a value, got none";
    refuse(kScan, missing.c_str(),
           [name](Fields& f) { f.list.erase(f.list.begin() + (&field(f, name) - f.list.data())); });
    refuse(kScan, "got a null pointer", [name](Fields& f) { field(f, name).data = nullptr; });
    refuse(kScan, name, [name](Fields& f) { field(f, name).type = PluginFieldType::kFLOAT64; });
    refuse(kScan, name, [name](Fields& f) { field(f, name).type = PluginFieldType::kUNKNOWN; });
    refuse(kScan, name, [name](Fields& f) { field(f, name).length = 0; });
    refuse(kScan, name, [name](Fields& f) { field(f, name).length = -1; });
    refuse(kScan, "expected it once, got it twice", [name](Fields& f) { f.list.push_back(field(f, name)); });
  }
  refuse(kScan, "node 'a node'", [](Fields& f) { f.list.clear(); });
  refuse(kScan, "vmexport::SelectiveScan", [](Fields& f) { f.list.clear(); });
  refuse(kConv, "vmexport::CausalConv1d", [](Fields& f) { f.list.clear(); });
  refuse(kConv, "attribute scale: expected one of directions, tokens_per_frame, class_token",
         [](Fields& f) { f.list.emplace_back("scale", &f.scale, PluginFieldType::kFLOAT32, 1); });
  refuse(kScan, "attribute dt_rank: expected one of",
         [](Fields& f) { f.list.emplace_back("dt_rank", &f.class_token, PluginFieldType::kINT32, 1); });
  refuse(kScan, "expected a name",
         [](Fields& f) { f.list.emplace_back(nullptr, nullptr, PluginFieldType::kINT32, 1); });
  refuse(kScan, "directions: expected a list of 1 to 8 integers, got 9 of them", [](Fields& f) {
    f.directions.resize(9);
    field(f, "directions").data = f.directions.data();
    field(f, "directions").length = 9;
  });
  refuse(kScan, "directions[1]: expected 0 (forward), 1 (spatiotemporal)", [](Fields& f) { f.directions[1] = 4; });
  refuse(kScan, "directions[0]", [](Fields& f) { f.directions[0] = -1; });
  refuse(kScan, "class_token: expected 0 to 1, got 2", [](Fields& f) { f.class_token = 2; });
  refuse(kScan, "tokens_per_frame: expected 0 to 2147483647, got -5", [](Fields& f) { f.tokens_per_frame = -5; });
  refuse(kScan, "scale: expected a finite number, got nan", [](Fields& f) { f.scale = NAN; });
  refuse(kScan, "scale: expected a finite number, got -inf", [](Fields& f) { f.scale = -INFINITY; });
  refuse(kScan, "scale: expected a number", [](Fields& f) { field(f, "scale").type = PluginFieldType::kINT32; });
  refuse(kScan, "class_token: expected an integer",
         [](Fields& f) { field(f, "class_token").type = PluginFieldType::kFLOAT32; });
  told(logger, trt_host::create(kScan, nullptr) == nullptr, "expected a collection of plugin fields, got none");
  const nvinfer1::PluginFieldCollection hollow{3, nullptr}, negative{-1, nullptr};
  told(logger, trt_host::create(kScan, &hollow) == nullptr, "expected a collection");
  told(logger, trt_host::create(kScan, &negative) == nullptr, "expected a collection");
}

#if VMEXPORT_TENSORRT_V3
// A field of a name that no attribute has, as the first vmexport wrote it, is bytes or nothing.
void check_old_field(trt_host::Logger& logger) {
  const std::vector<unsigned char> bytes = bytes_of(kScan, plain());
  const auto size = static_cast<int32_t>(bytes.size());
  const auto refuse = [&](const char* words, std::vector<PluginField> list) {
    const nvinfer1::PluginFieldCollection fields{static_cast<int32_t>(list.size()), list.data()};
    told(logger, trt_host::load(kScan, &fields) == nullptr, words);
  };
  const PluginField state("vmexport_state", bytes.data(), PluginFieldType::kINT8, size);
  refuse("expected a field vmexport_state of bytes", {{state.name, state.data, PluginFieldType::kINT32, size / 4}});
  refuse("expected a field vmexport_state of bytes", {{state.name, state.data, PluginFieldType::kINT8, -1}});
  refuse("attribute state: expected one of", {{"state", state.data, PluginFieldType::kINT8, size}});
  refuse("attribute vmexport_state: expected one of", {state, state});
  const nvinfer1::PluginFieldCollection alone{1, &state};
  told(logger, trt_host::create(kScan, &alone) == nullptr, "attribute vmexport_state: expected one of");
}

void check_wide_fields(trt_host::Logger& logger) {
  Fields fields(kScan, plain());
  const auto collection = fields.collection();
  const auto narrow = trt_host::create(kScan, &collection)->bytes();
  // Not aligned, as a field of somebody's buffer may be.
  unsigned char buffer[9];
  int64_t tokens = fields.tokens_per_frame;
  std::memcpy(buffer + 1, &tokens, sizeof tokens);
  field(fields, "tokens_per_frame").data = buffer + 1;
  field(fields, "tokens_per_frame").type = PluginFieldType::kINT64;
  const auto wide = trt_host::create(kScan, &collection);
  expect(wide != nullptr && wide->bytes() == narrow, "64-bit integers are integers");
  tokens = int64_t{1} << 40;
  std::memcpy(buffer + 1, &tokens, sizeof tokens);
  told(logger, trt_host::create(kScan, &collection) == nullptr, "expected 0 to 2147483647, got 1099511627776");
}
#endif

// What engines hold that vmexport has built before, to the byte: they have to run as long as there is a vmexport.
void check_known_bytes() {
  const std::vector<unsigned char> scan = {
      'V', 'M', 'E',  'X', 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,  // this format's version, operator, directions
      2,   0,   0,    0,   3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0,  // spatial, temporal, tokens a frame, class token
      0,   0,   0x80, 0x3f};                                    // scale 1
  std::vector<unsigned char> conv = scan;
  conv[8] = 2;
  for (const auto& [op, known] : {std::pair(kScan, scan), std::pair(kConv, conv)}) {
    const auto node = trt_host::restore(op, known.data(), known.size());
    expect(node != nullptr && node->bytes() == known, std::string(op) + ": known bytes are read");
    expect(bytes_of(op, plain()) == known, std::string(op) + ": known bytes are those of this node");
    expect(node != nullptr && node->reload() != nullptr, std::string(op) + ": and written into a new engine");
  }
}

void check_bytes(trt_host::Logger& logger) {
  const auto refused = [&logger](const char* op, const std::vector<unsigned char>& bytes, const char* words) {
    // Memory of exactly this size, in which a sanitizer sees one byte too far.
    const std::unique_ptr<unsigned char[]> exact(new unsigned char[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), exact.get());
    told(logger, trt_host::restore(op, exact.get(), bytes.size()) == nullptr, words);
  };
  for (const char* op : {kScan, kConv}) {
    const std::vector<unsigned char> good = bytes_of(op, plain());
    for (size_t size = 0; size < good.size(); ++size) {
      refused(op, {good.begin(), good.begin() + static_cast<ptrdiff_t>(size)}, "serialised state");
    }
    std::vector<unsigned char> changed = good;
    changed.push_back(0);
    refused(op, changed, "1 bytes too many");
    changed = good, changed[4] = 2;
    refused(op, changed, "expected version 1 to 1, got 2");
    changed = good, changed[4] = 0;
    refused(op, changed, "expected version 1 to 1, got 0");
    changed = good, changed[0] ^= 1;
    refused(op, changed, "not written by vmexport");
    refused(op, bytes_of(op == kScan ? kConv : kScan, plain()), "expected operator");
    told(logger, trt_host::restore(op, nullptr, 0) == nullptr, "serialised state");
  }
  std::vector<unsigned char> nan = bytes_of(kScan, plain());
  std::fill(nan.end() - 4, nan.end(), static_cast<unsigned char>(0xff));
  refused(kScan, nan, "scale is not a finite number");
}

// Whatever the bytes are, they are refused or describe a node that writes the same bytes again.
void check_wild_bytes(trt_host::Logger& logger) {
  std::mt19937 random(11);
  const std::vector<unsigned char> good = bytes_of(kScan, plain());
  const auto survive = [&](const std::vector<unsigned char>& bytes, const char* what) {
    const auto node = trt_host::restore(kScan, bytes.data(), bytes.size());
    expect(node == nullptr ? !logger.take().empty() : node->bytes() == bytes, what);
  };
  for (size_t at = 0; at < good.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::vector<unsigned char> changed = good;
      changed[at] = static_cast<unsigned char>(value);
      survive(changed, "one byte changed");
    }
  }
  for (int i = 0; i < 2000; ++i) {
    std::vector<unsigned char> noise(random() % 80);
    for (unsigned char& byte : noise) byte = static_cast<unsigned char>(random());
    if (i % 2 == 0) std::copy_n(good.begin(), std::min<size_t>(noise.size(), 12), noise.begin());  // a true header
    survive(noise, "noise");
  }
}

void check_logger(trt_host::Logger& process) {
  const auto refuse = [] { return trt_host::create(kScan, nullptr) == nullptr; };
#if VMEXPORT_TENSORRT_LOGGER_FINDER
  struct Finder final : nvinfer1::ILoggerFinder {
    nvinfer1::ILogger* logger = nullptr;
    bool throws = false;
    nvinfer1::ILogger* findLogger() override {
      if (throws) throw 1;
      return logger;
    }
  };
  trt_host::Logger own;
  Finder finder;
  finder.logger = &own;
  vmexport::trt::set_logger_finder(&finder);
  told(own, refuse(), "expected a collection");
  expect(process.take().empty(), "the finder's logger alone");
  finder.throws = true;
  told(process, refuse(), "expected a collection");
  finder.throws = false, finder.logger = nullptr;
  told(process, refuse(), "expected a collection");
  vmexport::trt::set_logger_finder(nullptr);
#endif
  told(process, refuse(), "expected a collection");
  // The library of another major has loggers of another shape: standard error is told instead.
  trt_host::library_version = NV_TENSORRT_MAJOR >= 10 ? 8601 : 100300;
  expect(refuse() && process.take().empty(), "a TensorRT of another major is not asked");
  trt_host::library_version = NV_TENSORRT_MAJOR >= 10 ? NV_TENSORRT_MAJOR * 10000 : NV_TENSORRT_MAJOR * 1000;
}

}  // namespace

void told(trt_host::Logger& logger, bool refused, const std::string& words, const std::string& of) {
  const std::string said = logger.take();
  expect(refused && said.find(words) != std::string::npos, of + " refusal of '" + words + "', got: " + said);
}

void check(trt_host::Logger& logger) {
  check_fields(logger);
#if VMEXPORT_TENSORRT_V3
  check_wide_fields(logger);
  check_old_field(logger);
#endif
  check_known_bytes();
  check_bytes(logger);
  check_wild_bytes(logger);
  check_inputs(logger);
  check_logger(logger);
}

}  // namespace trt_refusals
