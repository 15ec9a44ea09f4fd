#include "report.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "json.h"
#include "text.h"

namespace vmexport::runner {
namespace {

__attribute__((format(printf, 1, 2))) std::string format(const char* pattern, ...) {
  char text[600];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

std::string row(const char* label, const std::string& value) {
  return format("%-15s ", label) + harmless(value) + "\n";
}

double mebibytes(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

double clips_per_second(const Report& report) {
  return 1000.0 * static_cast<double>(report.batch) / report.compute->median_ms;
}

std::string latency_text(const Latency& latency) {
  return format("median %.3f ms, p90 %.3f, p99 %.3f, min %.3f, mean %.3f (%d runs)", latency.median_ms, latency.p90_ms,
                latency.p99_ms, latency.min_ms, latency.mean_ms, latency.runs);
}

Json latency_json(const Latency& latency) {
  return Json::object()
      .set("runs", latency.runs)
      .set("median_ms", latency.median_ms)
      .set("p90_ms", latency.p90_ms)
      .set("p99_ms", latency.p99_ms)
      .set("min_ms", latency.min_ms)
      .set("mean_ms", latency.mean_ms);
}

// Index of the largest logit of each clip.
std::vector<int64_t> first_classes(const Array& logits) {
  std::vector<int64_t> classes;
  const size_t width = static_cast<size_t>(logits.shape[1]);
  for (auto row = logits.data.begin(); row != logits.data.end(); row += static_cast<std::ptrdiff_t>(width))
    classes.push_back(std::max_element(row, row + static_cast<std::ptrdiff_t>(width)) - row);
  return classes;
}

std::string first_classes_text(const Array& logits) {
  constexpr size_t kMostShown = 8;
  const std::vector<int64_t> classes = first_classes(logits);
  std::string text;
  for (size_t i = 0; i < std::min(classes.size(), kMostShown); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(classes[i]);
  return text + (classes.size() > kMostShown ? ", ..." : "");
}

std::string run_text(const Report& report) {
  std::string out = row("clips", report.clips + ", batch " + std::to_string(report.batch));
  out += row("first class", first_classes_text(report.logits));
  out += row("parity", report.agreement ? "passed: " + describe(*report.agreement, *report.tolerance)
                                        : "not compared (--expect); every logit is finite");
  if (report.compute) {
    const char* graph = report.cuda_graph ? "CUDA graph" : "no CUDA graph";
    out += row("latency", latency_text(*report.compute) + ", " + graph + ", without transfers");
    out += row("with transfers", latency_text(*report.with_transfers) + ", " + graph);
    out += row("clips/s", format("%.1f (batch over the median without transfers)", clips_per_second(report)));
  }
  out += row("device memory", format("%.1f MiB more in use while it runs, of them %.1f MiB activations",
                                     mebibytes(report.memory_bytes), mebibytes(report.activation_bytes)));
  if (!report.output.empty()) out += row("logits", report.output);
  return out;
}

void add_run(const Report& report, Json* json) {
  Json classes = Json::array();
  for (const int64_t index : first_classes(report.logits)) classes.push(index);
  json->set("clips", report.clips).set("batch", report.batch).set("first_classes", classes);
  if (report.agreement)
    json->set("parity", Json::object()
                            .set("passed", true)
                            .set("max_abs", report.agreement->max_abs)
                            .set("max_rel", report.agreement->max_rel)
                            .set("cosine", report.agreement->cosine)
                            .set("top1", report.agreement->top1)
                            .set("tolerance", report.tolerance->name));
  else
    json->set("parity", Json());
  if (report.compute)
    json->set("cuda_graph", report.cuda_graph)
        .set("latency_without_transfers", latency_json(*report.compute))
        .set("latency_with_transfers", latency_json(*report.with_transfers))
        .set("clips_per_second", clips_per_second(report));
  json->set("device_memory_bytes", report.memory_bytes).set("activation_bytes", report.activation_bytes);
  if (!report.output.empty()) json->set("logits", report.output);
}

}  // namespace

std::string report_text(const Report& report) {
  std::string out = row("model", report.model) + row("runtime", report.library);
  if (!report.gpu.empty()) out += row("GPU", report.gpu);
  std::string engine = format("%.1f MiB, batch ", mebibytes(report.engine_bytes)) + profile_text(report.profile);
  if (report.build_seconds) engine += format(", built in %.1f s", *report.build_seconds);
  if (report.warnings > 0) engine += format(", %zu warnings (--verbose)", report.warnings);
  out += row("engine", engine);
  if (!report.saved_engine.empty()) out += row("saved as", report.saved_engine);
  return report.batch > 0 ? out + run_text(report) : out;
}

std::string report_json(const Report& report) {
  Json json = Json::object();
  json.set("model", report.model).set("runtime", report.library);
  json.set("gpu", report.gpu.empty() ? Json() : Json(report.gpu));
  json.set("engine_bytes", report.engine_bytes).set("profile", profile_text(report.profile));
  if (report.build_seconds) json.set("build_seconds", *report.build_seconds);
  if (!report.saved_engine.empty()) json.set("saved_engine", report.saved_engine);
  json.set("warnings", static_cast<uint64_t>(report.warnings));
  if (report.batch > 0) add_run(report, &json);
  return json.dump() + "\n";
}

}  // namespace vmexport::runner
