// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "adapter_objects.hpp"
#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/checkpoint.hpp"
#include "ferrule/text.hpp"
#include "tensors_out.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

OpenedCheckpoint open_checkpoint(nb::handle path, nb::handle backing, nb::handle torch_key) {
  std::vector<std::filesystem::path> paths;
  if (PyList_Check(path.ptr()) || PyTuple_Check(path.ptr())) {
    for (const nb::handle one : nb::iter(path)) paths.push_back(path_of(one, "path"));
  } else {
    paths.push_back(path_of(path, "path"));
  }
  const OpenOptions options{.backing = backing_of(str_of(backing, "backing")),
                            .torch_key = str_of(torch_key, "torch_key"),
                            .threads = 0};
  auto opened = value_or_raise(without_gil([&] {
    return paths.size() == 1 ? Checkpoint::open(paths.front(), options)
                             : Checkpoint::open(paths, options);
  }));
  return {std::make_shared<const Checkpoint>(std::move(opened))};
}

nb::dict checkpoint_state_dict(const OpenedCheckpoint& self, std::string_view framework) {
  const auto library = framework_of(framework);
  nb::dict dict;
  for (const auto& [name, view] : self.checkpoint->tensors()) {
    dict[to_str(name)] = to_tensor(library, name, view, self.checkpoint);
  }
  return dict;
}

nb::str repr_of(const OpenedCheckpoint& self) {
  const auto files = self.checkpoint->files();
  std::string text = "<ferrule.Checkpoint ";
  if (!files.empty()) text += quote(files.front().native());
  if (files.size() > 1) text += " and " + std::to_string(files.size() - 1) + " more";
  return to_str(text + ", " + std::to_string(self.checkpoint->tensors().size()) + " tensors>");
}

}  // namespace

void bind_checkpoint(nb::module_& module) {
  nb::class_<OpenedCheckpoint>(module, "Checkpoint",
                               "Files of tensors opened as one: safetensors, a sharded index, "
                               "torch files (read as data, never unpickled), or a directory that "
                               "holds one of these. What they are is decided by content.")
      .def("__init__",
           no_constructor<OpenedCheckpoint>("open a checkpoint with ferrule.Checkpoint.open(path)"))
      .def_static("open", &open_checkpoint, "path"_a.none(), nb::kw_only(),
                  "backing"_a.none() = "map", "torch_key"_a.none() = "",
                  nb::sig("def open(path: str | os.PathLike[str] | list[str | os.PathLike[str]], "
                          "*, backing: typing.Literal['map', 'copy'] = 'map', torch_key: str = "
                          "'') -> Checkpoint"),
                  "Several paths are joined. Raises NotFoundError, IoError, CorruptError, "
                  "UnsupportedError, LimitExceededError.")
      .def("__len__",
           [](const OpenedCheckpoint& self) { return self.checkpoint->tensors().size(); })
      .def_prop_ro(
          "files",
          [](const OpenedCheckpoint& self) {
            nb::list list;
            for (const auto& path : self.checkpoint->files()) list.append(to_path_str(path));
            return list;
          },
          nb::sig("def files(self) -> list[str]"))
      .def(
          "range",
          [](const OpenedCheckpoint& self, std::string_view name) {
            return value_or_raise(self.checkpoint->range(name));
          },
          "name"_a,
          "Where the bytes of a tensor are in its file, for own I/O. Raises NotFoundError, and "
          "UnsupportedError if they are not there as they are.")
      .def_prop_ro("file_bytes",
                   [](const OpenedCheckpoint& self) { return self.checkpoint->file_bytes(); })
      .def_prop_ro(
          "names",
          [](const OpenedCheckpoint& self) {
            nb::list list;
            for (const auto& [name, view] : self.checkpoint->tensors()) list.append(to_str(name));
            return list;
          },
          nb::sig("def names(self) -> list[str]"))
      .def(
          "state_dict",
          [](const OpenedCheckpoint& self, std::string_view framework) {
            if (framework != "torch") throw nb::next_overload();
            return checkpoint_state_dict(self, framework);
          },
          "framework"_a = "torch",
          nb::sig("def state_dict(self, framework: typing.Literal['torch'] = 'torch') -> dict[str, "
                  "torch.Tensor]"))
      .def("state_dict", &checkpoint_state_dict, "framework"_a,
           nb::sig("def state_dict(self, framework: typing.Literal['numpy']) -> dict[str, "
                   "numpy.ndarray]"),
           "The tensors by name, without copies: views of private mappings, which they keep alive.")
      .def("__repr__", &repr_of);
}

}  // namespace ferrule::python
