// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <string>

#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/inspect.hpp"
#include "ferrule/text.hpp"
#include "findings.hpp"
#include "remote_path.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

nb::object error_or_none(const std::optional<Error>& error) {
  return error ? to_exception(*error) : nb::none();
}

nb::object inspect_file(const std::filesystem::path& path) {
  return nb::cast(value_or_raise(without_gil([&] { return inspect_container(path); })));
}

/// As the command does: a folder without adapters is read as a checkpoint.
nb::object inspect(nb::handle path) {
  const auto local = local_path_of(path, "path", true);
  const auto& where = local.path;
  switch (value_or_raise(without_gil([&] { return path_kind(where); }))) {
    case PathKind::kFile:
      return inspect_file(where);
    case PathKind::kAdapter:
      return nb::cast(without_gil([&] { return inspect_adapter(where); }));
    case PathKind::kFolder:
      break;
  }
  auto folder = value_or_raise(without_gil([&] { return inspect_folder(where, {.threads = 0}); }));
  if (folder.adapters.empty()) return inspect_file(where);
  return nb::cast(std::move(folder));
}

void bind_totals(nb::module_& module) {
  nb::class_<TensorTotals>(module, "TensorTotals", "Tensors by number.")
      .def_ro("tensors", &TensorTotals::tensors)
      .def_ro("parameters", &TensorTotals::parameters)
      .def_ro("bytes", &TensorTotals::bytes)
      .def_prop_ro(
          "dtypes",
          [](const TensorTotals& self) {
            nb::dict dict;
            for (const auto& [dtype, count] : self.dtypes) dict[to_str(dtype_name(dtype))] = count;
            return dict;
          },
          nb::sig("def dtypes(self) -> dict[str, int]"), "Tensors of each dtype.")
      .def("__repr__", [](const TensorTotals& self) {
        return to_str("<ferrule.TensorTotals " + std::to_string(self.tensors) + " tensors, " +
                      std::to_string(self.parameters) + " parameters, " +
                      std::to_string(self.bytes) + " bytes>");
      });
}

void bind_adapter_summary(nb::module_& module) {
  nb::class_<AdapterSummary>(module, "AdapterSummary",
                             "One adapter in few words, and whether it is good. Only headers and "
                             "configs are read for it.")
      .def_prop_ro(
          "directory", [](const AdapterSummary& self) { return to_path_str(self.directory); },
          nb::sig("def directory(self) -> str"))
      .def_prop_ro("good", &AdapterSummary::good)
      .def_ro("peft_type", &AdapterSummary::peft_type, "Empty if the config could not be read.")
      .def_ro("task_type", &AdapterSummary::task_type)
      .def_ro("base_model", &AdapterSummary::base_model)
      .def_ro("rank", &AdapterSummary::rank)
      .def_ro("alpha", &AdapterSummary::alpha)
      .def_ro("weights_file", &AdapterSummary::weights_file)
      .def_ro("file_bytes", &AdapterSummary::file_bytes)
      .def_ro("totals", &AdapterSummary::totals)
      .def_prop_ro(
          "findings", [](const AdapterSummary& self) { return to_list(self.findings); },
          nb::sig("def findings(self) -> list[Finding]"))
      .def_prop_ro(
          "system_error",
          [](const AdapterSummary& self) { return error_or_none(self.system_error); },
          nb::sig("def system_error(self) -> ferrule.Error | None"),
          "The system error that prevented a verdict; not raised.")
      .def("__repr__", [](const AdapterSummary& self) {
        return to_str("<ferrule.AdapterSummary " + self.peft_type + " " +
                      quote(self.directory.native()) + (self.good() ? ", good>" : ", bad>"));
      });
}

void bind_folder_summary(nb::module_& module) {
  nb::class_<FolderSummary>(module, "FolderSummary",
                            "The adapters of a folder and of all folders below it.")
      .def_prop_ro(
          "adapters",
          [](const FolderSummary& self) {
            nb::list list;
            for (const auto& adapter : self.adapters) list.append(nb::cast(adapter));
            return list;
          },
          nb::sig("def adapters(self) -> list[AdapterSummary]"), "Sorted by path.")
      .def_ro("directories", &FolderSummary::directories, "Folders looked into.")
      .def_prop_ro(
          "unreadable",
          [](const FolderSummary& self) {
            nb::list list;
            for (const auto& error : self.unreadable) list.append(to_exception(error));
            return list;
          },
          nb::sig("def unreadable(self) -> list[ferrule.Error]"),
          "Folders that could not be listed, and why.")
      .def_prop_ro("bad", &FolderSummary::bad, "Adapters that are not good.")
      .def_prop_ro("totals", &FolderSummary::totals)
      .def_prop_ro("file_bytes", &FolderSummary::file_bytes)
      .def("__repr__", [](const FolderSummary& self) {
        return to_str("<ferrule.FolderSummary " + std::to_string(self.adapters.size()) +
                      " adapters, " + std::to_string(self.bad()) + " bad>");
      });
}

void bind_container_summary(nb::module_& module) {
  nb::class_<TensorSummary>(module, "TensorSummary", "One tensor by name, without its content.")
      .def_ro("name", &TensorSummary::name)
      .def_prop_ro(
          "dtype", [](const TensorSummary& self) { return to_str(dtype_name(self.dtype)); },
          nb::sig("def dtype(self) -> str"))
      .def_prop_ro(
          "shape", [](const TensorSummary& self) { return to_shape(self.shape); },
          nb::sig("def shape(self) -> tuple[int, ...]"))
      .def_ro("nbytes", &TensorSummary::bytes)
      .def("__repr__", [](const TensorSummary& self) {
        return to_str("<ferrule.TensorSummary " + quote(self.name) + " " +
                      std::string(dtype_name(self.dtype)) + ">");
      });
  nb::class_<ContainerSummary>(module, "ContainerSummary",
                               "A file, or a checkpoint of several: what its headers say.")
      .def_prop_ro(
          "files",
          [](const ContainerSummary& self) {
            nb::list list;
            for (const auto& path : self.files) list.append(to_path_str(path));
            return list;
          },
          nb::sig("def files(self) -> list[str]"))
      .def_ro("container", &ContainerSummary::container,
              "\"safetensors\", \"safetensors index\", \"torch\" ...")
      .def_ro("file_bytes", &ContainerSummary::file_bytes)
      .def_ro("totals", &ContainerSummary::totals)
      .def_prop_ro(
          "tensors",
          [](const ContainerSummary& self) {
            nb::list list;
            for (const auto& tensor : self.tensors) list.append(nb::cast(tensor));
            return list;
          },
          nb::sig("def tensors(self) -> list[TensorSummary]"), "In the order of the file.")
      .def_prop_ro(
          "metadata", [](const ContainerSummary& self) { return from_metadata(self.metadata); },
          nb::sig("def metadata(self) -> dict[str, str]"), "Of a single safetensors file.")
      .def("__repr__", [](const ContainerSummary& self) {
        return to_str("<ferrule.ContainerSummary " + self.container + ", " +
                      std::to_string(self.totals.tensors) + " tensors>");
      });
}

}  // namespace

void bind_inspect(nb::module_& module) {
  bind_totals(module);
  bind_adapter_summary(module);
  bind_folder_summary(module);
  bind_container_summary(module);
  module.def(
      "inspect", &inspect, "path"_a.none(),
      nb::sig("def inspect(path: str | os.PathLike[str]) -> AdapterSummary | FolderSummary "
              "| ContainerSummary"),
      "What is at the path, by its headers: an adapter, a folder of them (walked to the "
      "bottom, in parallel), or a file of tensors. Of \"hf://user/repo[@revision][/subfolder]\" "
      "no more is fetched than it takes.\n\nA bad adapter is an answer, not an "
      "exception. Raises NotFoundError, IoError, and for a file that cannot be read as one "
      "CorruptError, UnsupportedError, LimitExceededError.");
}

}  // namespace ferrule::python
