// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "ferrule/text.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

/// safetensors.TensorSpec: a tensor by its address, which the caller answers for.
struct TensorSpec {
  Dtype dtype = Dtype::kF32;
  std::vector<std::uint64_t> shape;
  std::uint64_t data_ptr = 0;
  std::uint64_t data_len = 0;

  /// The writer compares the size with the shape.
  TensorStream stream(std::string_view name) const {
    return {.name = std::string(name),
            .dtype = dtype,
            .shape = shape,
            .bytes = {reinterpret_cast<const std::byte*>(data_ptr), data_len}};
  }
};

/// In the order in which safetensors lists them.
constexpr std::array kNames = {std::pair{"bool", Dtype::kBool},
                               std::pair{"int8", Dtype::kI8},
                               std::pair{"uint8", Dtype::kU8},
                               std::pair{"int16", Dtype::kI16},
                               std::pair{"uint16", Dtype::kU16},
                               std::pair{"int32", Dtype::kI32},
                               std::pair{"uint32", Dtype::kU32},
                               std::pair{"int64", Dtype::kI64},
                               std::pair{"uint64", Dtype::kU64},
                               std::pair{"float16", Dtype::kF16},
                               std::pair{"float32", Dtype::kF32},
                               std::pair{"float64", Dtype::kF64},
                               std::pair{"bfloat16", Dtype::kBF16},
                               std::pair{"float8_e4m3fn", Dtype::kF8E4M3},
                               std::pair{"float8_e4m3fnuz", Dtype::kF8E4M3FNUZ},
                               std::pair{"float8_e5m2", Dtype::kF8E5M2},
                               std::pair{"float8_e5m2fnuz", Dtype::kF8E5M2FNUZ},
                               std::pair{"float8_e8m0fnu", Dtype::kF8E8M0},
                               std::pair{"float4_e2m1fn_x2", Dtype::kF4},
                               std::pair{"complex64", Dtype::kC64}};

[[noreturn]] void raise_safetensor_error(const std::string& message) {
  const nb::object type = nb::module_::import_("ferrule._errors").attr("SafetensorError");
  PyErr_SetObject(type.ptr(), type(to_str(message)).ptr());
  throw nb::python_error();
}

Dtype dtype_of(std::string_view name) {
  std::string known;
  for (const auto& [text, dtype] : kNames) {
    if (name == text) return dtype;
    known += (known.empty() ? "" : ", ") + std::string(text);
  }
  raise_safetensor_error("Unknown dtype " + quote(name) + ". Supported dtypes: " + known);
}

void init(TensorSpec* self, std::string_view dtype, std::vector<std::uint64_t> shape,
          std::uint64_t data_ptr, std::uint64_t data_len) {
  const Dtype type = dtype_of(dtype);
  if (type == Dtype::kF4 && !shape.empty()) {
    // The caller's shape counts bytes, which hold two elements each.
    if (shape.back() > std::numeric_limits<std::uint64_t>::max() / 2) {
      raise_safetensor_error("F4 last-dim " + std::to_string(shape.back()) +
                             " doubled to logical shape overflows usize");
    }
    shape.back() *= 2;
  }
  if (data_ptr == 0 && data_len != 0) raise_safetensor_error("data_ptr is null, data_len is not");
  new (self) TensorSpec{type, std::move(shape), data_ptr, data_len};
}

/// Specs of a dict, whose memory it keeps alive.
struct Specs {
  nb::object kept;
  std::vector<TensorStream> tensors;
};

Specs specs_of(nb::dict tensor_dict) {
  Specs specs;
  specs.kept = nb::steal(PyDict_Copy(tensor_dict.ptr()));
  for (const auto& [name, value] : nb::borrow<nb::dict>(specs.kept)) {
    if (!PyUnicode_Check(name.ptr())) {
      throw nb::type_error(
          ("tensor_dict: a name: expected str, found " + type_name_of(name)).c_str());
    }
    const TensorSpec* spec = nullptr;
    if (!nb::try_cast(value, spec) || spec == nullptr) {
      throw nb::type_error(("tensor_dict[" + quote(utf8_of(name)) +
                            "]: expected TensorSpec, found " + type_name_of(value))
                               .c_str());
    }
    specs.tensors.push_back(spec->stream(utf8_of(name)));
  }
  return specs;
}

nb::bytes serialize(nb::dict tensor_dict, nb::handle metadata) {
  const auto specs = specs_of(std::move(tensor_dict));
  const auto pairs = metadata_of(metadata, "metadata");
  const auto empty = empty_metadata_of(metadata);
  const auto bytes =
      without_gil([&] { return serialize_safetensors(specs.tensors, pairs, empty); });
  if (!bytes) raise_safetensor_error("Error while serializing: " + bytes.error().to_string());
  return nb::bytes(bytes->data(), bytes->size());
}

void serialize_file(nb::dict tensor_dict, nb::handle filename, nb::handle metadata) {
  const auto specs = specs_of(std::move(tensor_dict));
  const auto path = path_of(filename, "filename");
  const auto pairs = metadata_of(metadata, "metadata");
  const auto empty = empty_metadata_of(metadata);
  const auto wrote = without_gil([&] {
    return write_safetensors(path, specs.tensors, pairs,
                             {.durability = Durability::kFast, .empty_metadata = empty});
  });
  if (!wrote) raise_safetensor_error("Error while serializing: " + wrote.error().to_string());
}

}  // namespace

void bind_tensor_spec(nb::module_& module) {
  nb::class_<TensorSpec>(module, "TensorSpec",
                         "A tensor by its address, for serialize() and serialize_file(): the "
                         "memory must stay as it is while they run.\n\nFor float4_e2m1fn_x2 the "
                         "last dimension is doubled: shape counts elements.")
      .def("__init__", &init, nb::kw_only(), "dtype"_a, "shape"_a, "data_ptr"_a, "data_len"_a,
           nb::sig("def __init__(self, *, dtype: str, shape: collections.abc.Sequence[int], "
                   "data_ptr: int, data_len: int) -> None"))
      .def_prop_ro(
          "dtype", [](const TensorSpec& self) { return to_str(dtype_name(self.dtype)); },
          nb::sig("def dtype(self) -> str"), "As in the header (\"F32\").")
      .def_prop_ro(
          "shape", [](const TensorSpec& self) { return self.shape; },
          nb::sig("def shape(self) -> list[int]"))
      .def_prop_ro("data_ptr", [](const TensorSpec& self) { return self.data_ptr; })
      .def_prop_ro("data_len", [](const TensorSpec& self) { return self.data_len; })
      .def("__repr__", [](const TensorSpec& self) {
        return to_str("TensorSpec(dtype='" + std::string(dtype_name(self.dtype)) +
                      "', shape=" + text_of(nb::cast(self.shape)) +
                      ", data_ptr=" + std::to_string(self.data_ptr) +
                      ", data_len=" + std::to_string(self.data_len) + ")");
      });
  module.def("serialize", &serialize, "tensor_dict"_a, "metadata"_a = nb::none(),
             nb::sig("def serialize(tensor_dict: dict[str, TensorSpec], metadata: dict[str, str] | "
                     "None = None) -> bytes"),
             "The bytes of a safetensors file. Raises SafetensorError.");
  module.def("serialize_file", &serialize_file, "tensor_dict"_a, "filename"_a.none(),
             "metadata"_a = nb::none(),
             nb::sig("def serialize_file(tensor_dict: dict[str, TensorSpec], filename: str | "
                     "os.PathLike[str], metadata: dict[str, str] | None = None) -> None"),
             "Writes them to a file, which appears whole or not at all; the GIL is released "
             "meanwhile. Raises SafetensorError.");
}

}  // namespace ferrule::python
