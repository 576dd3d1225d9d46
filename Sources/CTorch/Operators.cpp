// The boxed call: any operator by the name of its schema.
#include "Handles.h"
#include <ATen/core/dispatch/Dispatcher.h>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace {

using namespace ct;

/// How an argument's schema type changes the value that stands for it.
enum class Kind : uint8_t { plain, real, optionalTensors };

struct Operator {
  c10::OperatorHandle handle;
  std::vector<Kind> kinds;
};

Kind kindOf(c10::TypePtr type) {
  if (auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  if (type->kind() == c10::TypeKind::FloatType) return Kind::real;
  if (auto list = type->cast<c10::ListType>())
    if (list->getElementType()->kind() == c10::TypeKind::OptionalType) return Kind::optionalTensors;
  return Kind::plain;
}

/// Operators are looked up once per process by name, and once per thread by the name's address.
const Operator &findOperator(const char *name) {
  thread_local std::unordered_map<const void *, const Operator *> byAddress;
  auto known = byAddress.find(name);
  if (known != byAddress.end()) return *known->second;

  static std::mutex mutex;
  static std::unordered_map<std::string, std::unique_ptr<Operator>> byName;
  std::lock_guard<std::mutex> lock(mutex);
  auto &entry = byName[name];
  if (!entry) {
    std::string base(name), overload;
    auto dot = base.find('.');
    if (dot != std::string::npos) {
      overload = base.substr(dot + 1);
      base.resize(dot);
    }
    auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(base.c_str(), overload.c_str());
    std::vector<Kind> kinds;
    for (auto &argument : handle.schema().arguments()) kinds.push_back(kindOf(argument.type()));
    entry.reset(new Operator{handle, std::move(kinds)});
  }
  byAddress[name] = entry.get();
  return *entry;
}

c10::IValue boxed(const ct_value &value, Kind kind, const ct_arguments &pools) {
  switch (value.tag) {
  case CT_NONE: return c10::IValue();
  case CT_TENSOR: return borrow(pools.tensors[value.integer]);
  case CT_INT:
    if (kind == Kind::real) return static_cast<double>(value.integer);
    return value.integer;
  case CT_DOUBLE: return value.real;
  case CT_BOOL: return value.integer != 0;
  case CT_INTS: return c10::IValue(c10::IntArrayRef(pools.integers + value.integer, value.count));
  case CT_TENSORS: {
    auto first = pools.tensors + value.integer;
    if (kind == Kind::optionalTensors) {
      c10::List<c10::optional<at::Tensor>> list;
      for (auto i = 0; i < value.count; i++)
        list.push_back(first[i] ? c10::optional<at::Tensor>(borrow(first[i])) : c10::nullopt);
      return list;
    }
    c10::List<at::Tensor> list;
    for (auto i = 0; i < value.count; i++) list.push_back(borrow(first[i]));
    return list;
  }
  case CT_STRING:
    return std::string(reinterpret_cast<const char *>(pools.bytes) + value.integer, value.count);
  case CT_DEVICE:
    return c10::Device(static_cast<c10::DeviceType>(value.integer), static_cast<c10::DeviceIndex>(value.count));
  default: TORCH_CHECK(false, "argument with the unknown tag ", value.tag);
  }
}

void fill(torch::jit::Stack &stack, const Operator &op, const ct_arguments &given) {
  auto &arguments = op.handle.schema().arguments();
  TORCH_CHECK(static_cast<size_t>(given.count) <= arguments.size(), given.count, " arguments given, the schema has ",
              arguments.size());
  stack.reserve(std::max<size_t>(arguments.size(), 4));
  for (size_t i = 0; i < arguments.size(); i++) {
    if (i < static_cast<size_t>(given.count)) {
      stack.push_back(boxed(given.values[i], op.kinds[i], given));
    } else {
      auto &fallback = arguments[i].default_value();
      TORCH_CHECK(fallback.has_value(), "no value given for '", arguments[i].name(), "'");
      stack.push_back(*fallback);
    }
  }
}

ct_value unboxed(const c10::IValue &value, std::vector<at::Tensor> &tensors) {
  if (value.isTensor()) {
    tensors.push_back(value.toTensor());
    return {CT_TENSOR, 1, static_cast<int64_t>(tensors.size() - 1), 0};
  }
  if (value.isTensorList()) {
    auto first = static_cast<int64_t>(tensors.size());
    for (auto &tensor : value.toTensorVector()) tensors.push_back(tensor);
    return {CT_TENSORS, static_cast<int32_t>(tensors.size() - first), first, 0};
  }
  if (value.isInt()) return {CT_INT, 0, value.toInt(), 0};
  if (value.isDouble()) return {CT_DOUBLE, 0, 0, value.toDouble()};
  if (value.isBool()) return {CT_BOOL, 0, value.toBool() ? 1 : 0, 0};
  TORCH_CHECK(value.isNone(), "a result of type ", value.tagKind(), " has no counterpart here");
  return {CT_NONE, 0, 0, 0};
}

} // namespace

extern "C" {

ct_status ct_call(const char *name, const ct_arguments *arguments, ct_results *results) {
  *results = {nullptr, 0, nullptr};
  return guarded([&] {
    auto &op = findOperator(name);
    torch::jit::Stack stack;
    fill(stack, op, *arguments);
    op.handle.callBoxed(&stack);

    std::vector<ct_value> values;
    std::vector<at::Tensor> tensors;
    for (auto &value : stack) values.push_back(unboxed(value, tensors));
    std::unique_ptr<ct_value, decltype(&free)> valueArray(
        static_cast<ct_value *>(malloc(sizeof(ct_value) * (values.size() + 1))), &free);
    std::unique_ptr<ct_tensor *, decltype(&free)> tensorArray(
        static_cast<ct_tensor **>(malloc(sizeof(ct_tensor *) * (tensors.size() + 1))), &free);
    if (!valueArray || !tensorArray) throw std::bad_alloc();
    // Nothing throws from here on, so no handle can be lost.
    std::copy(values.begin(), values.end(), valueArray.get());
    for (size_t i = 0; i < tensors.size(); i++) tensorArray.get()[i] = own(std::move(tensors[i]));
    *results = {valueArray.release(), static_cast<int32_t>(values.size()), tensorArray.release()};
  });
}

void ct_results_free(ct_results *results) {
  free(results->values);
  free(results->tensors);
  *results = {nullptr, 0, nullptr};
}

} // extern "C"
