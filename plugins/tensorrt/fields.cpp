#include "fields.h"

#include <cmath>
#include <cstring>

namespace vmexport::trt {
namespace {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldCollection;
using nvinfer1::PluginFieldType;

enum Attribute { kDirectionCodes, kTokensPerFrame, kClassToken, kScale, kAttributes };
static_assert(kAttributes == kMaxAttributes, "kMaxAttributes is not their number");

constexpr auto& kNames = kFieldNames;
static_assert(sizeof kNames / sizeof kNames[0] == kAttributes, "a name an attribute");
constexpr int kUnscaled = kScale;  // an operator without a scale has the attributes before it

int count_of(const Operator& op) noexcept { return op.scaled ? kAttributes : kUnscaled; }

// ONNX integers arrive as 32-bit ones from every parser up to TensorRT 11, 64-bit ones from a user's own fields.
bool read_integer(const PluginField& field, int32_t index, int64_t* value, Message* message) noexcept {
  const int size = integer_size(field.type);
  if (size == 0) {
    return message->say("attribute %s: expected an integer (kINT32), got field type %d", field.name,
                        static_cast<int>(field.type));
  }
  const char* const at = static_cast<const char*>(field.data) + static_cast<ptrdiff_t>(index) * size;
  int32_t narrow = 0;
  std::memcpy(size == 4 ? static_cast<void*>(&narrow) : value, at, static_cast<size_t>(size));
  if (size == 4) *value = narrow;
  return true;
}

bool in_range(const char* name, int64_t value, int64_t low, int64_t high, Message* message) noexcept {
  if (value >= low && value <= high) return true;
  return message->say("attribute %s: expected %lld to %lld, got %lld", name, static_cast<long long>(low),
                      static_cast<long long>(high), static_cast<long long>(value));
}

bool read_directions(const PluginField& field, vmexport_token_order* order, Message* message) noexcept {
  if (field.length < 1 || field.length > VMEXPORT_MAX_DIRECTIONS) {
    return message->say("attribute %s: expected a list of 1 to %d integers, got %d of them", field.name,
                        VMEXPORT_MAX_DIRECTIONS, field.length);
  }
  for (int32_t s = 0; s < field.length; ++s) {
    int64_t code = 0;
    if (!read_integer(field, s, &code, message)) return false;
    if (code < VMEXPORT_FORWARD || code > VMEXPORT_TEMPORAL) {
      return message->say(
          "attribute %s[%d]: expected 0 (forward), 1 (spatiotemporal), 2 (spatial) or 3 (temporal), got %lld",
          field.name, s, static_cast<long long>(code));
    }
    order->orders[s] = static_cast<int32_t>(code);
  }
  order->directions = field.length;
  return true;
}

bool read_scale(const PluginField& field, float* scale, Message* message) noexcept {
  if (field.type != PluginFieldType::kFLOAT32) {
    return message->say("attribute %s: expected a number (kFLOAT32), got field type %d", field.name,
                        static_cast<int>(field.type));
  }
  std::memcpy(scale, field.data, sizeof *scale);
  return std::isfinite(*scale) ||
         message->say("attribute %s: expected a finite number, got %f", field.name, static_cast<double>(*scale));
}

bool read_field(Attribute which, const PluginField& field, Attributes* attributes, Message* message) noexcept {
  if (field.data == nullptr) return message->say("attribute %s: expected data, got a null pointer", field.name);
  if (which == kDirectionCodes) return read_directions(field, &attributes->order, message);
  if (field.length != 1) {
    return message->say("attribute %s: expected one value, got %d", field.name, field.length);
  }
  if (which == kScale) return read_scale(field, &attributes->scale, message);
  int64_t value = 0;
  if (!read_integer(field, 0, &value, message)) return false;
  if (which == kTokensPerFrame) {
    attributes->order.tokens_per_frame = value;
    return in_range(field.name, value, 0, INT32_MAX, message);
  }
  attributes->order.class_token = static_cast<int32_t>(value);
  return in_range(field.name, value, 0, 1, message);
}

// Attribute of this name, or kAttributes.
Attribute named(const Operator& op, const char* name) noexcept {
  for (int i = 0; i < count_of(op); ++i) {
    if (std::strcmp(name, kNames[i]) == 0) return static_cast<Attribute>(i);
  }
  return kAttributes;
}

}  // namespace

const PluginFieldCollection& declared_fields(const Operator& op) noexcept {
  static const PluginField declared[kAttributes] = {
      {kNames[kDirectionCodes], nullptr, PluginFieldType::kINT32, VMEXPORT_MAX_DIRECTIONS},
      {kNames[kTokensPerFrame], nullptr, PluginFieldType::kINT32, 1},
      {kNames[kClassToken], nullptr, PluginFieldType::kINT32, 1},
      {kNames[kScale], nullptr, PluginFieldType::kFLOAT32, 1},
  };
  static const PluginFieldCollection scaled{kAttributes, declared};
  static const PluginFieldCollection unscaled{kUnscaled, declared};
  return op.scaled ? scaled : unscaled;
}

const PluginFieldCollection& write_fields(const Operator& op, const Attributes& attributes,
                                          WrittenFields* fields) noexcept {
  const vmexport_token_order& order = attributes.order;
  fields->tokens_per_frame = static_cast<int32_t>(order.tokens_per_frame);  // read_fields lets no other in
  const void* const values[kAttributes] = {order.orders, &fields->tokens_per_frame, &order.class_token,
                                           &attributes.scale};
  const PluginFieldCollection& declared = declared_fields(op);
  for (int32_t i = 0; i < declared.nbFields; ++i) {
    fields->list[i] = declared.fields[i];
    fields->list[i].data = values[i];
  }
  fields->list[kDirectionCodes].length = order.directions;
  fields->collection = {declared.nbFields, fields->list};
  return fields->collection;
}

bool read_fields(const Operator& op, const PluginFieldCollection* fields, Attributes* attributes,
                 Message* message) noexcept {
  if (fields == nullptr || fields->nbFields < 0 || (fields->nbFields > 0 && fields->fields == nullptr)) {
    return message->say("expected a collection of plugin fields, got none");
  }
  bool seen[kAttributes + 1] = {};
  for (int32_t i = 0; i < fields->nbFields; ++i) {
    const PluginField& field = fields->fields[i];
    if (field.name == nullptr) return message->say("plugin field %d: expected a name, got a null pointer", i);
    const Attribute which = named(op, field.name);
    if (which == kAttributes) {
      return message->say("attribute %.60s: expected one of directions, tokens_per_frame, class_token%s", field.name,
                          op.scaled ? ", scale" : "");
    }
    if (seen[which]) return message->say("attribute %s: expected it once, got it twice", field.name);
    seen[which] = true;
    if (!read_field(which, field, attributes, message)) return false;
  }
  for (int i = 0; i < count_of(op); ++i) {
    if (!seen[i])
      return message->say("attribute %s: expected a value, got none: export the model and build its engine again",
                          kNames[i]);
  }
  return true;
}

}  // namespace vmexport::trt
