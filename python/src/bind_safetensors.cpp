// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/text.hpp"
#include "tensors_out.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

/// A file, and the memory it was read from if we made a copy.
struct OpenedFile {
  std::unique_ptr<std::byte[]> memory;
  SafetensorsFile file;
};

/// Lives as long as the last tensor that was got out of it.
struct SharedFile {
  std::shared_ptr<const OpenedFile> opened;

  const SafetensorsFile& file() const { return opened->file; }
};

SharedFile open_file(nb::handle path, std::string_view backing) {
  const auto where = path_of(path, "path");
  const OpenOptions options{.backing = backing_of(backing), .threads = 0};
  auto file = value_or_raise(without_gil([&] { return SafetensorsFile::open(where, options); }));
  return {std::make_shared<const OpenedFile>(OpenedFile{nullptr, std::move(file)})};
}

/// Copies: tensors may be written to, and the caller's bytes never change.
SharedFile from_bytes(nb::bytes data) {
  std::unique_ptr<std::byte[]> memory(new std::byte[data.size()]);
  auto file = value_or_raise(without_gil([&] {
    std::memcpy(memory.get(), data.data(), data.size());
    return SafetensorsFile::from_bytes({memory.get(), data.size()});
  }));
  return {std::make_shared<const OpenedFile>(OpenedFile{std::move(memory), std::move(file)})};
}

TensorView view_of(const SharedFile& self, std::string_view name) {
  const auto view = self.file().find(name);
  if (!view) raise(ErrorCode::kNotFound, "File does not contain tensor " + std::string(name));
  return *view;
}

nb::dict file_tensors(const SharedFile& self, std::string_view framework) {
  const auto library = framework_of(framework);
  nb::dict dict;
  for (const auto& [name, view] : self.file().tensors()) {
    dict[to_str(name)] = to_tensor(library, name, view, self.opened);
  }
  return dict;
}

nb::list names_of(const SharedFile& self) {
  nb::list names;
  for (const auto& [name, view] : self.file().tensors()) names.append(to_str(name));
  return names;
}

}  // namespace

void bind_safetensors(nb::module_& module) {
  nb::class_<SharedFile>(module, "SafetensorsFile",
                         "An opened .safetensors file: checked in full once (rules ST-*), then "
                         "read without copies.")
      .def("__init__",
           no_constructor<SharedFile>("open a file with ferrule.SafetensorsFile.open(path)"))
      .def_static("open", &open_file, "path"_a.none(), nb::kw_only(), "backing"_a = "map",
                  nb::sig("def open(path: str | os.PathLike[str], *, backing: "
                          "typing.Literal['map', 'copy'] = 'map') -> SafetensorsFile"),
                  "Raises NotFoundError, IoError, CorruptError, UnsupportedError, "
                  "LimitExceededError.")
      .def_static("from_bytes", &from_bytes, "data"_a,
                  "The same over a copy of these bytes. Raises as open does.")
      .def("__len__", [](const SharedFile& self) { return self.file().tensors().size(); })
      .def_prop_ro("names", &names_of, nb::sig("def names(self) -> list[str]"),
                   "In the order of their data in the file.")
      .def_prop_ro(
          "metadata",
          [](const SharedFile& self) -> nb::object {
            if (!self.file().has_metadata()) return nb::none();
            return from_metadata(self.file().metadata());
          },
          nb::sig("def metadata(self) -> dict[str, str] | None"))
      .def_prop_ro("file_bytes", [](const SharedFile& self) { return self.file().file_bytes(); })
      .def("__contains__", [](const SharedFile& self,
                              std::string_view name) { return self.file().find(name).has_value(); })
      .def(
          "dtype",
          [](const SharedFile& self, std::string_view name) {
            return to_str(dtype_name(view_of(self, name).dtype()));
          },
          "name"_a, nb::sig("def dtype(self, name: str) -> str"),
          "The name of the dtype in the header (\"BF16\").")
      .def(
          "shape",
          [](const SharedFile& self, std::string_view name) {
            return to_shape(view_of(self, name).shape());
          },
          "name"_a, nb::sig("def shape(self, name: str) -> tuple[int, ...]"))
      .def(
          "tensor",
          [](const SharedFile& self, std::string_view name, std::string_view framework) {
            return to_tensor(framework_of(framework), name, view_of(self, name), self.opened);
          },
          "name"_a, "framework"_a = "torch",
          nb::sig("def tensor(self, name: str, framework: typing.Literal['torch', 'numpy'] = "
                  "'torch') -> typing.Any"),
          "A view of the file's private mapping, which it keeps alive: writable, the file never "
          "changes.")
      .def("tensors", &file_tensors, "framework"_a = "torch",
           nb::sig("def tensors(self, framework: typing.Literal['torch', 'numpy'] = 'torch') -> "
                   "dict[str, typing.Any]"),
           "All of them by name, in the order of their data in the file.")
      .def(
          "range",
          [](const SharedFile& self, std::string_view name) {
            return value_or_raise(self.file().range(name));
          },
          "name"_a, "Where the bytes of a tensor are in the file, for own I/O.")
      .def(
          "byte_array",
          [](const SharedFile& self, std::string_view name) {
            const auto bytes = view_of(self, name).bytes();
            return nb::steal(
                PyByteArray_FromStringAndSize(reinterpret_cast<const char*>(bytes.data()),
                                              static_cast<Py_ssize_t>(bytes.size())));
          },
          "name"_a, nb::sig("def byte_array(self, name: str) -> bytearray"),
          "A copy of the tensor's bytes.")
      .def("__repr__", [](const SharedFile& self) {
        return to_str("<ferrule.SafetensorsFile " + quote(self.file().path().native()) + ", " +
                      std::to_string(self.file().tensors().size()) + " tensors>");
      });
}

}  // namespace ferrule::python
