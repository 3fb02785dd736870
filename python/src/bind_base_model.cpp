// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <string>
#include <utility>

#include "adapter_objects.hpp"
#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/base_model.hpp"
#include "ferrule/text.hpp"
#include "json_value.hpp"
#include "remote_path.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

OpenedBase open_at(const LocalPath& local) {
  auto opened = value_or_raise(without_gil([&] { return BaseModel::open(local.path); }));
  return {std::make_shared<const BaseModel>(std::move(opened))};
}

OpenedBase open_base(nb::handle path, bool offline) {
  return open_at(base_path_of(path, "path", offline));
}

OpenedBase open_base_of(const AdapterConfig& config, bool offline) {
  return open_at(base_path_of(config, offline));
}

/// Where a base is, with what keeps a temporary folder: for ferrule.ray, which copies the headers.
nb::tuple place_of(const LocalPath& local) {
  auto hold = std::make_unique<std::shared_ptr<void>>(local.hold);
  nb::capsule capsule(
      hold.get(), [](void* held) noexcept { delete static_cast<std::shared_ptr<void>*>(held); });
  (void)hold.release();
  return nb::make_tuple(to_str(local.path.native()), std::move(capsule));
}

}  // namespace

void bind_base_model(nb::module_& module) {
  module.def(
      "_locate_base",
      [](nb::handle path, bool offline) { return place_of(base_path_of(path, "path", offline)); },
      "path"_a, "offline"_a);
  module.def(
      "_locate_base_of",
      [](const AdapterConfig& config, bool offline) {
        return place_of(base_path_of(config, offline));
      },
      "config"_a, "offline"_a);
  nb::class_<OpenedBase>(module, "BaseModel",
                         "A base model as its headers describe it: names, shapes and config, no "
                         "weights. Open it once and check any number of adapters against it.")
      .def("__init__", no_constructor<OpenedBase>("open a base with ferrule.BaseModel.open(path)"))
      .def_static(
          "open", &open_base, "path"_a.none(), nb::kw_only(), "offline"_a = false,
          nb::sig("def open(path: str | os.PathLike[str], *, offline: bool = False) -> BaseModel"),
          "Opens a directory (weights and their config.json), an index, a file of tensors, or a "
          "config.json. A repository (\"user/repo\", \"hf://user/repo[@revision]\") is looked up "
          "in "
          "the Hub's cache; if it is not there, its headers are fetched, unless offline. Raises "
          "NotFoundError, IoError, CorruptError, UnsupportedError, "
          "LimitExceededError.")
      .def_static("of", &open_base_of, "config"_a, nb::kw_only(), "offline"_a = false,
                  nb::sig("def of(config: AdapterConfig, *, offline: bool = False) -> BaseModel"),
                  "Opens the base that the config names: a folder, or a repository. Raises "
                  "InvalidArgumentError if it names none, and what open() raises.")
      .def_prop_ro(
          "has_tensors", [](const OpenedBase& self) { return self.base->has_tensors(); },
          "False if only a config.json was given.")
      .def_prop_ro("tensor_count", [](const OpenedBase& self) { return self.base->tensor_count(); })
      .def_prop_ro(
          "config", [](const OpenedBase& self) { return from_json(self.base->config()); },
          nb::sig("def config(self) -> dict[str, typing.Any] | None"),
          "The config.json, or None. A copy.")
      .def_prop_ro(
          "class_name", [](const OpenedBase& self) { return to_str(self.base->class_name()); },
          nb::sig("def class_name(self) -> str"), "The first class that the config names, or \"\".")
      .def_prop_ro(
          "fingerprint", [](const OpenedBase& self) { return to_str(self.base->fingerprint()); },
          nb::sig("def fingerprint(self) -> str"),
          "SHA-256 of the names and shapes, 64 hexadecimal digits; empty without tensors.")
      .def("__repr__", [](const OpenedBase& self) {
        const auto& name = self.base->class_name();
        return to_str("<ferrule.BaseModel " + (name.empty() ? "" : printable(name) + ", ") +
                      std::to_string(self.base->tensor_count()) + " tensors>");
      });
}

}  // namespace ferrule::python
