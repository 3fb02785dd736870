// SPDX-License-Identifier: Apache-2.0
#include "torch_facts.hpp"

#include <utility>

namespace ferrule::python {

namespace nb = nanobind;

namespace {

constexpr std::pair<const char*, Dtype> kNames[] = {
    {"float32", Dtype::kF32},
    {"bfloat16", Dtype::kBF16},
    {"float16", Dtype::kF16},
    {"int64", Dtype::kI64},
    {"float64", Dtype::kF64},
    {"int32", Dtype::kI32},
    {"int16", Dtype::kI16},
    {"int8", Dtype::kI8},
    {"uint8", Dtype::kU8},
    {"bool", Dtype::kBool},
    {"uint16", Dtype::kU16},
    {"uint32", Dtype::kU32},
    {"uint64", Dtype::kU64},
    {"complex64", Dtype::kC64},
    {"float8_e4m3fn", Dtype::kF8E4M3},
    {"float8_e4m3fnuz", Dtype::kF8E4M3FNUZ},
    {"float8_e5m2", Dtype::kF8E5M2},
    {"float8_e5m2fnuz", Dtype::kF8E5M2FNUZ},
    {"float8_e8m0fnu", Dtype::kF8E8M0},
    {"float4_e2m1fn_x2", Dtype::kF4},
};

/// The type has the table under its current name or the one of torch 2.9; older versions
/// have none. A table of another major version may be laid out differently.
const dlpack::ExchangeApi* find_api(nb::handle tensor_type) {
  for (const char* name : {"__dlpack_c_exchange_api__", "__c_dlpack_exchange_api__"}) {
    const nb::object capsule = nb::getattr(tensor_type, name, nb::none());
    if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) continue;
    const auto* api = static_cast<const dlpack::ExchangeApi*>(
        PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
    while (api != nullptr && api->version.major != dlpack::kMajorVersion) api = api->previous;
    if (api != nullptr && api->tensor_from_py_object_no_sync != nullptr) return api;
  }
  return nullptr;
}

const TorchFacts* known = nullptr;

}  // namespace

TorchFacts::TorchFacts(nb::object torch) : module(std::move(torch)) {
  const nb::object tensor = module.attr("Tensor");
  tensor_type_ = reinterpret_cast<PyTypeObject*>(tensor.ptr());
  const nb::object parameter = module.attr("nn").attr("Parameter");
  parameter_type_ = reinterpret_cast<PyTypeObject*>(parameter.ptr());
  strided = module.attr("strided");
  is_conj = tensor.attr("is_conj");
  is_neg = tensor.attr("is_neg");
  api = find_api(tensor);
  for (const auto& [name, dtype] : kNames) {
    nb::object found = nb::getattr(module, name, nb::none());
    if (!found.is_none()) dtypes_.emplace_back(std::move(found), dtype);
  }
}

const TorchFacts* TorchFacts::loaded() {
  if (known != nullptr) return known;
  const nb::dict modules = nb::cast<nb::dict>(nb::module_::import_("sys").attr("modules"));
  if (!modules.contains("torch")) return nullptr;
  // Still being imported, it may lack what we ask for.
  const nb::object torch = modules["torch"];
  if (!nb::hasattr(torch, "Tensor") || !nb::hasattr(torch, "nn") ||
      !nb::hasattr(torch, "strided")) {
    return nullptr;
  }
  known = new TorchFacts(torch);
  return known;
}

const TorchFacts& TorchFacts::import_it() {
  if (loaded() == nullptr) {
    nb::object torch = nb::module_::import_("torch");
    if (known == nullptr) known = new TorchFacts(std::move(torch));
  }
  return *known;
}

bool TorchFacts::is_tensor(nb::handle object) const {
  const int answer = PyObject_IsInstance(object.ptr(), reinterpret_cast<PyObject*>(tensor_type_));
  if (answer < 0) throw nb::python_error();
  return answer == 1;
}

std::optional<Dtype> TorchFacts::dtype_of(nb::handle torch_dtype) const noexcept {
  for (const auto& [object, dtype] : dtypes_) {
    if (object.is(torch_dtype)) return dtype;
  }
  return std::nullopt;
}

nb::handle TorchFacts::torch_dtype(Dtype dtype) const noexcept {
  for (const auto& [object, known_dtype] : dtypes_) {
    if (known_dtype == dtype) return object;
  }
  return {};
}

}  // namespace ferrule::python
