// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adapter_objects.hpp"
#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/exchange.hpp"
#include "ferrule/method_roles.hpp"
#include "ferrule/text.hpp"
#include "findings.hpp"
#include "remote_path.hpp"
#include "tensors_out.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

const SharedAdapter& held_by(const OpenedAdapter& self) {
  if (!self.adapter) throw nb::value_error("the adapter is closed");
  return self.adapter;
}

namespace {

struct ModuleOfAdapter {
  SharedAdapter adapter;
  const AdapterModule* module = nullptr;
};

struct TensorOfAdapter {
  SharedAdapter adapter;
  AdapterTensor tensor;
};

OpenedAdapter open_adapter(nb::handle path, nb::handle backing, nb::handle torch_key,
                           bool allow_errors, nb::handle base, nb::handle config, nb::handle source,
                           nb::handle arch) {
  ExchangeOptions options;
  options.open = {.backing = backing_of(str_of(backing, "backing")),
                  .torch_key = str_of(torch_key, "torch_key"),
                  .threads = 0,
                  .allow_errors = allow_errors};
  options.from = str_of(source, "source");
  options.arch = str_of(arch, "arch");
  if (!base.is_none()) options.base = path_of(base, "base");
  if (!config.is_none()) options.config = path_of(config, "config");
  const auto where = local_path_of(path, "path", false);
  auto opened = value_or_raise(without_gil([&] { return open_any(where.path, options); }));
  return {std::make_shared<const Adapter>(std::move(opened))};
}

nb::object module_at(const OpenedAdapter& self, nb::handle path) {
  const auto& adapter = held_by(self);
  const auto wanted = str_of(path, "path");
  std::vector<std::string_view> known;
  for (const auto& module : adapter->modules()) {
    if (module.path() == wanted) return nb::cast(ModuleOfAdapter{adapter, &module});
    known.push_back(module.path());
  }
  std::string text = "the adapter does not change a module " + quote(wanted);
  if (const auto nearest = suggest(wanted, known))
    text += "; did you mean " + quote(*nearest) + "?";
  throw nb::key_error(text.c_str());
}

bool has_module(const OpenedAdapter& self, nb::handle path) {
  if (!PyUnicode_Check(path.ptr())) return false;
  const auto wanted = str_of(path, "path");
  const auto modules = held_by(self)->modules();
  return std::any_of(modules.begin(), modules.end(),
                     [&](const auto& module) { return module.path() == wanted; });
}

nb::list modules_of(const OpenedAdapter& self) {
  nb::list list;
  for (const auto& one : held_by(self)->modules()) {
    list.append(nb::cast(ModuleOfAdapter{self.adapter, &one}));
  }
  return list;
}

nb::object to_tensor(const TensorOfAdapter& self, Framework framework) {
  return to_tensor(framework, self.tensor.key, self.tensor.tensor, self.adapter);
}

nb::dict state_dict(const OpenedAdapter& self, std::string_view framework,
                    std::string_view adapter_name, std::string_view keys) {
  const auto library = framework_of(framework);
  const auto& adapter = *held_by(self);
  nb::dict dict;
  if (keys == "disk") {
    for (const auto& tensor : adapter.tensors()) {
      dict[to_str(tensor.key)] = to_tensor(library, tensor.key, tensor.tensor, self.adapter);
    }
    return dict;
  }
  if (keys != "live") {
    wrong_value("keys", R"("live" or "disk")", keys);
  }
  for (const auto& [key, view] : adapter.state_dict(adapter_name)) {
    dict[to_str(key)] = to_tensor(library, key, view, self.adapter);
  }
  return dict;
}

nb::list tensors_of(const SharedAdapter& adapter, std::span<const AdapterTensor> tensors) {
  nb::list list;
  for (const auto& tensor : tensors) list.append(nb::cast(TensorOfAdapter{adapter, tensor}));
  return list;
}

/// As AdapterModule::find: a role, or a role with its leaf ("lora_B.bias").
nb::object tensor_of(const ModuleOfAdapter& self, std::string_view role) {
  const auto* found = self.module->find(role);
  return found == nullptr ? nb::none() : nb::cast(TensorOfAdapter{self.adapter, *found});
}

void bind_tensor(nb::module_& module) {
  nb::class_<TensorOfAdapter>(module, "AdapterTensor",
                              "A tensor of an adapter: its key in the file and its role in the "
                              "method. Not a copy.")
      .def("__init__",
           no_constructor<TensorOfAdapter>("tensors come from ferrule.open(path).tensors"))
      .def_prop_ro(
          "key", [](const TensorOfAdapter& self) { return to_str(self.tensor.key); },
          nb::sig("def key(self) -> str"), "The key in the file.")
      .def_prop_ro(
          "role", [](const TensorOfAdapter& self) { return to_str(self.tensor.role); },
          nb::sig("def role(self) -> str"),
          "The method's word for it (\"lora_A\"); empty if nothing explains it.")
      .def_prop_ro(
          "leaf", [](const TensorOfAdapter& self) { return to_str(self.tensor.leaf); },
          nb::sig("def leaf(self) -> str"), "The rest of the key below the role.")
      .def_prop_ro(
          "range",
          [](const TensorOfAdapter& self) {
            return value_or_raise(self.adapter->range(self.tensor.key));
          },
          "Where its bytes are in the weights file, for own I/O. Raises UnsupportedError if they "
          "are "
          "not there as they are (a tensor of a .bin that is not contiguous).")
      .def_prop_ro(
          "dtype",
          [](const TensorOfAdapter& self) {
            return to_str(dtype_name(self.tensor.tensor.dtype()));
          },
          nb::sig("def dtype(self) -> str"), "The name of the dtype in safetensors (\"BF16\").")
      .def_prop_ro(
          "shape", [](const TensorOfAdapter& self) { return to_shape(self.tensor.tensor.shape()); },
          nb::sig("def shape(self) -> tuple[int, ...]"))
      .def_prop_ro("nbytes",
                   [](const TensorOfAdapter& self) { return self.tensor.tensor.bytes().size(); })
      .def(
          "torch", [](const TensorOfAdapter& self) { return to_tensor(self, Framework::kTorch); },
          nb::sig("def torch(self) -> torch.Tensor"),
          "The tensor, without a copy; it keeps the file's mapping alive.")
      .def(
          "numpy", [](const TensorOfAdapter& self) { return to_tensor(self, Framework::kNumpy); },
          nb::sig("def numpy(self) -> numpy.ndarray"),
          "The array, without a copy; it keeps the file's mapping alive.")
      .def("__repr__", [](const TensorOfAdapter& self) {
        return to_str("<ferrule.AdapterTensor " + quote(self.tensor.key) + " " +
                      std::string(dtype_name(self.tensor.tensor.dtype())) + " " +
                      text_of(to_shape(self.tensor.tensor.shape())) + ">");
      });
}

void bind_range(nb::module_& module) {
  nb::class_<FileRange>(module, "FileRange",
                        "Where the bytes of a tensor are in a file, for direct I/O, pinned memory "
                        "or a GPU.")
      .def("__init__", no_constructor<FileRange>("ranges come from Adapter.range(key)"))
      .def_prop_ro(
          "path", [](const FileRange& self) { return to_path_str(self.path); },
          nb::sig("def path(self) -> str"), "The file as it was opened.")
      .def_ro("offset", &FileRange::offset, "In bytes from the start of the file.")
      .def_ro("length", &FileRange::length, "In bytes.")
      .def_ro("alignment", &FileRange::alignment, "The largest power of two that divides offset.")
      .def("__repr__", [](const FileRange& self) {
        return to_str("<ferrule.FileRange " + quote(self.path.native()) + " " +
                      std::to_string(self.offset) + "+" + std::to_string(self.length) + ">");
      });
}

void bind_roles(nb::module_& module) {
  nb::class_<MethodRole>(module, "MethodRole", "A kind of tensor that a method keeps in its file.")
      .def("__init__", no_constructor<MethodRole>("roles come from ferrule.method_roles(type)"))
      .def_prop_ro(
          "role", [](const MethodRole& self) { return to_str(self.role); },
          nb::sig("def role(self) -> str"), "As AdapterTensor.role (\"lora_A\").")
      .def_ro("is_of_model", &MethodRole::is_of_model,
              "One for the whole model, not one for each module.")
      .def("__repr__", [](const MethodRole& self) {
        return to_str("<ferrule.MethodRole " + quote(self.role) + ">");
      });
  module.def(
      "method_roles",
      [](nb::handle peft_type) { return method_roles(str_of(peft_type, "peft_type")); },
      "peft_type"_a.none(), nb::sig("def method_roles(peft_type: str) -> list[MethodRole]"),
      "The roles of the tensors of a method (\"LORA\"); empty for one that is not known. "
      "What every method may have (modules_to_save, bias, embedding, trainable_tokens) is "
      "not among them.");
}

void bind_module(nb::module_& module) {
  nb::class_<ModuleOfAdapter>(module, "Module",
                              "A module of the base model that the adapter changes.")
      .def("__init__",
           no_constructor<ModuleOfAdapter>("modules come from ferrule.open(path).modules"))
      .def_prop_ro(
          "path", [](const ModuleOfAdapter& self) { return to_str(self.module->path()); },
          nb::sig("def path(self) -> str"),
          "The path in the base model; empty for what belongs to the whole model.")
      .def_prop_ro(
          "strength", [](const ModuleOfAdapter& self) { return self.module->strength(); },
          "The factor on the update, with r, alpha, rsLoRA and patterns resolved; 1 if the method "
          "has none.")
      .def_prop_ro(
          "resolved", [](const ModuleOfAdapter& self) { return self.module->resolved(); },
          "The same with its rank, alpha and the rule that won.")
      .def_prop_ro("rank", [](const ModuleOfAdapter& self) { return self.module->resolved().rank; })
      .def_prop_ro("alpha",
                   [](const ModuleOfAdapter& self) { return self.module->resolved().alpha; })
      .def_prop_ro(
          "tensors",
          [](const ModuleOfAdapter& self) {
            return tensors_of(self.adapter, self.module->tensors());
          },
          nb::sig("def tensors(self) -> list[AdapterTensor]"))
      .def("tensor", &tensor_of, "role"_a,
           nb::sig("def tensor(self, role: str) -> AdapterTensor | None"),
           "The tensor of that role, or None. If a role has several, the weight; ask with the leaf "
           "(\"lora_B.bias\") for another one.")
      .def("__repr__", [](const ModuleOfAdapter& self) {
        return to_str("<ferrule.Module " + quote(self.module->path()) + ">");
      });
}

}  // namespace

void bind_adapter(nb::module_& module) {
  bind_range(module);
  bind_roles(module);
  bind_tensor(module);
  bind_module(module);
  constexpr const char* kOpenSignature =
      "def open(path: str | os.PathLike[str], *, backing: typing.Literal['map', 'copy'] = 'map', "
      "torch_key: str = '', allow_errors: bool = False, "
      "base: str | os.PathLike[str] | None = None, config: str | os.PathLike[str] | None = None, "
      "source: str = '', arch: str = '') -> Adapter";
  constexpr const char* kOpenText =
      "Opens an adapter's directory as PEFT finds it (adapter_model.safetensors, then .bin), "
      "without torch. \"hf://user/repo[@revision][/subfolder]\" is pulled through the cache "
      "first.\n\nbacking=\"map\" maps the weights: pages load on first touch, and if "
      "another program truncates the file, touching a lost page ends the process (SIGBUS). "
      "backing=\"copy\" reads them into memory. torch_key names the entry of a .bin that holds the "
      "state dict one level down.\n\nAn adapter of another program (docs/convert.md) is opened as "
      "convert(to=\"peft\") writes it; base, config, source and arch are those of convert().\n\nAn "
      "adapter that can be read and has errors all the same is "
      "refused with the first of them, unless allow_errors asks for it; findings has all. Raises "
      "NotFoundError, IoError, CorruptError, UnsupportedError, LimitExceededError.";
  nb::class_<OpenedAdapter>(module, "Adapter",
                            "An opened adapter: config, weights, and every tensor matched to a "
                            "role of its method.")
      .def("__init__", no_constructor<OpenedAdapter>("open an adapter with ferrule.open(path)"))
      .def_static("open", &open_adapter, "path"_a.none(), nb::kw_only(), "backing"_a.none() = "map",
                  "torch_key"_a.none() = "", "allow_errors"_a = false, "base"_a = nb::none(),
                  "config"_a = nb::none(), "source"_a.none() = "", "arch"_a.none() = "",
                  nb::sig(kOpenSignature), kOpenText)
      .def_prop_ro("config", [](const OpenedAdapter& self) { return held_by(self)->config(); })
      .def_prop_ro("modules", &modules_of, nb::sig("def modules(self) -> list[Module]"),
                   "Sorted by path; what belongs to the whole model comes first.")
      .def_prop_ro(
          "tensors",
          [](const OpenedAdapter& self) {
            return tensors_of(held_by(self), held_by(self)->tensors());
          },
          nb::sig("def tensors(self) -> list[AdapterTensor]"), "Every tensor of the file.")
      .def_prop_ro(
          "findings", [](const OpenedAdapter& self) { return to_list(held_by(self)->findings()); },
          nb::sig("def findings(self) -> list[Finding]"),
          "All findings by the AD, KY and CF rules, errors first; errors only with allow_errors.")
      .def_prop_ro(
          "directory",
          [](const OpenedAdapter& self) { return to_path_str(held_by(self)->directory()); },
          nb::sig("def directory(self) -> str"))
      .def_prop_ro(
          "weights_file",
          [](const OpenedAdapter& self) { return to_path_str(held_by(self)->weights_file()); },
          nb::sig("def weights_file(self) -> str"))
      .def_prop_ro(
          "metadata",
          [](const OpenedAdapter& self) { return from_metadata(held_by(self)->metadata()); },
          nb::sig("def metadata(self) -> dict[str, str]"))
      .def_prop_ro("file_bytes",
                   [](const OpenedAdapter& self) { return held_by(self)->file_bytes(); })
      .def(
          "live_key",
          [](const OpenedAdapter& self, std::string_view disk_key, std::string_view adapter_name) {
            return held_by(self)->live_key(disk_key, adapter_name);
          },
          "disk_key"_a, "adapter_name"_a = "default",
          "The key under which a PEFT model with an adapter of that name holds the tensor.")
      .def(
          "state_dict",
          [](const OpenedAdapter& self, std::string_view framework, std::string_view adapter_name,
             std::string_view keys) {
            if (framework != "torch") throw nb::next_overload();
            return state_dict(self, framework, adapter_name, keys);
          },
          "framework"_a = "torch", "adapter_name"_a = "default", nb::kw_only(), "keys"_a = "live",
          nb::sig("def state_dict(self, framework: typing.Literal['torch'] = 'torch', "
                  "adapter_name: str = 'default', *, keys: typing.Literal['live', 'disk'] = "
                  "'live') -> dict[str, torch.Tensor]"))
      .def("state_dict", &state_dict, "framework"_a, "adapter_name"_a = "default", nb::kw_only(),
           "keys"_a = "live",
           nb::sig("def state_dict(self, framework: typing.Literal['numpy'], adapter_name: str = "
                   "'default', *, keys: typing.Literal['live', 'disk'] = 'live') -> dict[str, "
                   "numpy.ndarray]"),
           "The tensors by name: keys=\"live\" as a PEFT model's state_dict() spells them, "
           "keys=\"disk\" as the file does.\n\nNothing is copied: the tensors are views of the "
           "file's private mapping and keep it alive. They may be written to; the file never "
           "changes (its mapping becomes writable when a tensor of it is first asked for). Raises "
           "UnsupportedError for a dtype that the framework does not have.")
      .def(
          "__len__", [](const OpenedAdapter& self) { return held_by(self)->modules().size(); },
          "The number of modules.")
      .def(
          "__iter__", [](const OpenedAdapter& self) { return nb::iter(modules_of(self)); },
          nb::sig("def __iter__(self) -> collections.abc.Iterator[Module]"))
      .def("__getitem__", &module_at, "path"_a,
           nb::sig("def __getitem__(self, path: str) -> Module"),
           "The module at that path. Raises KeyError if the adapter does not change it.")
      .def("__contains__", &has_module, "path"_a,
           nb::sig("def __contains__(self, path: object) -> bool"))
      .def("__bool__", [](const OpenedAdapter&) { return true; })
      .def(
          "close", [](OpenedAdapter& self) { self.adapter.reset(); },
          "Gives the mapping back as soon as no tensor, module or other object of the adapter uses "
          "it. Afterwards the adapter itself raises ValueError.")
      .def(
          "__enter__", [](nb::handle self) { return nb::borrow(self); },
          nb::sig("def __enter__(self) -> Adapter"))
      .def(
          "__exit__", [](OpenedAdapter& self, const nb::args&) { self.adapter.reset(); },
          nb::sig("def __exit__(self, *arguments: object) -> None"))
      .def("__repr__", [](const OpenedAdapter& self) {
        if (!self.adapter) return to_str("<ferrule.Adapter closed>");
        return to_str("<ferrule.Adapter " + held_by(self)->config().peft_type() + " " +
                      quote(held_by(self)->directory().native()) + ", " +
                      std::to_string(held_by(self)->tensors().size()) + " tensors>");
      });
}

}  // namespace ferrule::python
