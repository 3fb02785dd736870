// SPDX-License-Identifier: Apache-2.0
#include "numpy_facts.hpp"

#include <string>
#include <utility>

#include "errors.hpp"
#include "ferrule/text.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;

namespace {

struct NumpyRow {
  std::string_view name;
  Dtype dtype;
  bool of_ml_dtypes;
};

constexpr NumpyRow kRows[] = {
    {"float32", Dtype::kF32, false},
    {"float16", Dtype::kF16, false},
    {"int64", Dtype::kI64, false},
    {"float64", Dtype::kF64, false},
    {"int32", Dtype::kI32, false},
    {"int16", Dtype::kI16, false},
    {"int8", Dtype::kI8, false},
    {"uint8", Dtype::kU8, false},
    {"bool", Dtype::kBool, false},
    {"uint16", Dtype::kU16, false},
    {"uint32", Dtype::kU32, false},
    {"uint64", Dtype::kU64, false},
    {"complex64", Dtype::kC64, false},
    {"bfloat16", Dtype::kBF16, true},
    {"float8_e4m3fn", Dtype::kF8E4M3, true},
    {"float8_e4m3fnuz", Dtype::kF8E4M3FNUZ, true},
    {"float8_e5m2", Dtype::kF8E5M2, true},
    {"float8_e5m2fnuz", Dtype::kF8E5M2FNUZ, true},
    {"float8_e8m0fnu", Dtype::kF8E8M0, true},
};

const NumpyFacts* known_numpy = nullptr;

}  // namespace

NumpyFacts::NumpyFacts(nb::object numpy)
    : module(std::move(numpy)), array_type(module.attr("ndarray")) {}

const NumpyFacts* NumpyFacts::loaded() {
  if (known_numpy != nullptr) return known_numpy;
  const nb::dict modules = nb::cast<nb::dict>(nb::module_::import_("sys").attr("modules"));
  if (!modules.contains("numpy")) return nullptr;
  const nb::object numpy = modules["numpy"];
  if (!nb::hasattr(numpy, "ndarray")) return nullptr;
  known_numpy = new NumpyFacts(numpy);
  return known_numpy;
}

const NumpyFacts& NumpyFacts::import_it() {
  if (loaded() == nullptr) {
    nb::object numpy = nb::module_::import_("numpy");
    if (known_numpy == nullptr) known_numpy = new NumpyFacts(std::move(numpy));
  }
  return *known_numpy;
}

bool NumpyFacts::is_array(nb::handle object) const {
  const int answer = PyObject_IsInstance(object.ptr(), array_type.ptr());
  if (answer < 0) throw nb::python_error();
  return answer == 1;
}

std::optional<Dtype> NumpyFacts::dtype_of(nb::handle descriptor) const {
  const auto name = text_of(descriptor.attr("name"));
  for (const auto& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

nb::object NumpyFacts::numpy_dtype(Dtype dtype, std::string_view name) const {
  for (const auto& row : kRows) {
    if (row.dtype != dtype) continue;
    if (!row.of_ml_dtypes) return module.attr("dtype")(to_str(row.name));
    try {
      const nb::object type = nb::module_::import_("ml_dtypes").attr(row.name.data());
      return module.attr("dtype")(type);
    } catch (const nb::python_error& error) {
      if (!error.matches(PyExc_ImportError) && !error.matches(PyExc_AttributeError)) throw;
    }
  }
  raise(ErrorCode::kUnsupported,
        "tensor " + quote(name) + " is " + std::string(dtype_name(dtype)) +
            ", which numpy does not have: install ml_dtypes, or ask for torch");
}

}  // namespace ferrule::python
