// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "findings.hpp"
#include "json_value.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

AdapterConfig open_config(nb::handle path) {
  const auto where = path_of(path, "path");
  return value_or_raise(without_gil([&] { return AdapterConfig::open(where); }));
}

AdapterConfig make_config(nb::handle peft_type, const nb::kwargs& fields) {
  const auto type = str_of(peft_type, "peft_type");
  Json::Object members;
  for (const auto& [name, value] : fields) {
    members.emplace_back(utf8_of(name), to_json(value, utf8_of(name)));
  }
  return argument_or_raise(AdapterConfig::make(type, members));
}

/// A field is known if the file or the type has it, or if make() takes it.
void set_field(AdapterConfig& config, nb::handle field, nb::handle value, bool force) {
  const auto name = str_of(field, "field");
  auto json = to_json(value, name);
  if (!force && config.find(name) == nullptr) {
    argument_or_raise(
        AdapterConfig::make(config.peft_type(), std::vector{Json::Member{name, json}}));
  }
  argument_or_raise(config.set(name, std::move(json)));
}

/// PEFT's configs have their fields as attributes.
nb::object attribute(const AdapterConfig& config, nb::handle name) {
  const auto field = str_of(name, "name");
  if (const auto* value = config.find(field)) return from_json(*value);
  std::string text = "AdapterConfig has no attribute " + quote(field);
  if (!field.starts_with("__")) {
    std::vector<std::string_view> known;
    for (const auto& [key, value] : *config.document().if_object()) known.push_back(key);
    text += ", and " + config.peft_type() + " no such field";
    if (const auto nearest = suggest(field, known))
      text += "; did you mean " + quote(*nearest) + "?";
  }
  throw nb::attribute_error(text.c_str());
}

/// In whatever order.
bool same_fields(const AdapterConfig& a, const AdapterConfig& b) {
  const auto& fields = *a.document().if_object();
  return fields.size() == b.document().if_object()->size() &&
         std::all_of(fields.begin(), fields.end(), [&](const Json::Member& field) {
           const auto* other = b.find(field.first);
           return other != nullptr && *other == field.second;
         });
}

void restore(AdapterConfig& self, nb::handle text) {
  new (&self) AdapterConfig(value_or_raise(AdapterConfig::parse(str_of(text, "state"))));
}

AdapterConfig upgrade_config(nb::handle path, nb::handle output) {
  auto config = open_config(path);
  if (output.is_none()) return config;
  const auto where = path_of(output, "output");
  value_or_raise(without_gil([&] { return write_text_file(where, config.to_json()); }));
  return config;
}

/// str for a pattern, a list of names, or None.
nb::object selector(const std::optional<ModuleSelector>& modules) {
  if (!modules) return nb::none();
  if (modules->is_pattern) return to_str(modules->pattern);
  nb::list names;
  for (const auto& name : modules->names) names.append(to_str(name));
  return names;
}

nb::dict table(const PatternTable& patterns) {
  nb::dict dict;
  for (const auto& [pattern, value] : patterns) dict[to_str(pattern)] = value;
  return dict;
}

nb::object item(const AdapterConfig& config, std::string_view field) {
  const auto* value = config.find(field);
  if (value == nullptr) throw nb::key_error(std::string(field).c_str());
  return from_json(*value);
}

void bind_strength(nb::module_& module) {
  nb::class_<ModuleStrength>(module, "ModuleStrength",
                             "Factor and rank of one module's update, and the rule that decided.")
      .def("__init__", no_constructor<ModuleStrength>(
                           "strengths come from AdapterConfig.resolve_strength(path)"))
      .def_ro("strength", &ModuleStrength::strength,
              "The factor on the update: PEFT's scaling; None if the method has none.")
      .def_ro("rank", &ModuleStrength::rank)
      .def_ro("alpha", &ModuleStrength::alpha)
      .def_ro("rule", &ModuleStrength::rule, "Which pattern or default won.")
      .def("__repr__", [](const ModuleStrength& self) {
        return to_str("<ferrule.ModuleStrength " + self.rule + ">");
      });
}

nb::list field_names(const AdapterConfig& self) {
  nb::list names;
  if (const auto* fields = self.document().if_object()) {
    for (const auto& [name, value] : *fields) names.append(to_str(name));
  }
  return names;
}

void bind_readings(nb::class_<AdapterConfig>& config) {
  config.def_prop_ro("task_type", &AdapterConfig::task_type)
      .def_prop_ro("base_model_name_or_path", &AdapterConfig::base_model_name_or_path)
      .def_prop_ro("is_prompt_learning", &AdapterConfig::is_prompt_learning)
      .def_prop_ro("bias", &AdapterConfig::bias)
      .def_prop_ro(
          "target_modules",
          [](const AdapterConfig& self) { return selector(self.target_modules()); },
          nb::sig("def target_modules(self) -> str | list[str] | None"))
      .def_prop_ro(
          "exclude_modules",
          [](const AdapterConfig& self) { return selector(self.exclude_modules()); },
          nb::sig("def exclude_modules(self) -> str | list[str] | None"))
      .def_prop_ro("modules_to_save", &AdapterConfig::modules_to_save)
      .def_prop_ro("target_parameters", &AdapterConfig::target_parameters)
      .def_prop_ro("rank", &AdapterConfig::rank, "`r`, or the method's field for it.")
      .def_prop_ro("alpha", &AdapterConfig::alpha, "`lora_alpha`, or the method's field for it.")
      .def_prop_ro("use_rslora", &AdapterConfig::use_rslora)
      .def_prop_ro("use_dora", &AdapterConfig::use_dora)
      .def_prop_ro(
          "rank_pattern", [](const AdapterConfig& self) { return table(self.rank_pattern()); },
          nb::sig("def rank_pattern(self) -> dict[str, float]"))
      .def_prop_ro(
          "alpha_pattern", [](const AdapterConfig& self) { return table(self.alpha_pattern()); },
          nb::sig("def alpha_pattern(self) -> dict[str, float]"));
}

}  // namespace

void bind_config(nb::module_& module) {
  bind_strength(module);
  nb::class_<AdapterConfig> config(
      module, "AdapterConfig",
      "adapter_config.json as a value: the document in full, and typed readings of what Ferrule "
      "acts on.");
  config
      .def("__init__",
           no_constructor<AdapterConfig>(
               "make a config with ferrule.AdapterConfig.make(\"LORA\", r=8), or read one "
               "with ferrule.AdapterConfig.open(path)"))
      .def_static("open", &open_config, "path"_a.none(),
                  nb::sig("def open(path: str | os.PathLike[str]) -> AdapterConfig"),
                  "Reads the file, or adapter_config.json in the directory. Raises CorruptError "
                  "(rules CF-*), NotFoundError.")
      .def_static(
          "parse",
          [](nb::handle json) {
            return value_or_raise(AdapterConfig::parse(str_of(json, "json")));
          },
          "json"_a.none(), nb::sig("def parse(json: str) -> AdapterConfig"),
          "Reads the text of an adapter_config.json. Raises CorruptError (rules CF-*).")
      .def_static("make", &make_config, "peft_type"_a.none(), "fields"_a,
                  nb::sig("def make(peft_type: str, **fields: typing.Any) -> AdapterConfig"),
                  "A new config of that type: PEFT's defaults, with these fields set. Raises "
                  "InvalidArgumentError for an unknown type or field, and for a value that the "
                  "field cannot hold.")
      .def_static("upgrade", &upgrade_config, "path"_a.none(), "output"_a.none() = nb::none(),
                  nb::sig("def upgrade(path: str | os.PathLike[str], output: str | "
                          "os.PathLike[str] | None = None) -> AdapterConfig"),
                  "Reads a config as open() does, with types and fields of older PEFT releases "
                  "renamed and defaults added (see findings), and writes PEFT's text of it to the "
                  "file `output`, which can be `path` itself.")
      .def_prop_ro(
          "peft_type", [](const AdapterConfig& self) { return self.peft_type(); },
          "The exact type, such as \"LORA\".")
      .def_prop_ro(
          "document", [](const AdapterConfig& self) { return from_json(self.document()); },
          nb::sig("def document(self) -> dict[str, typing.Any]"),
          "Every field, in the order of the file, defaults included. A copy.")
      .def("__getitem__", &item, "field"_a,
           nb::sig("def __getitem__(self, field: str) -> typing.Any"))
      .def("__contains__", [](const AdapterConfig& self,
                              std::string_view field) { return self.find(field) != nullptr; })
      .def("keys", &field_names, nb::sig("def keys(self) -> list[str]"),
           "The names of all fields, in the order of the file: dict(config) is config.to_dict().")
      .def(
          "__iter__", [](const AdapterConfig& self) { return nb::iter(field_names(self)); },
          nb::sig("def __iter__(self) -> typing.Iterator[str]"))
      .def("__len__", [](const AdapterConfig& self) { return nb::len(field_names(self)); })
      .def(
          "get",
          [](const AdapterConfig& self, std::string_view field, nb::object fallback) {
            const auto* value = self.find(field);
            return value != nullptr ? from_json(*value) : fallback;
          },
          "field"_a, "default"_a = nb::none(),
          nb::sig("def get(self, field: str, default: typing.Any = None) -> typing.Any"))
      .def("set", &set_field, "field"_a.none(), "value"_a.none(), nb::kw_only(), "force"_a = false,
           nb::sig("def set(self, field: str, value: typing.Any, *, force: bool = False) -> None"),
           "Sets a field. Raises InvalidArgumentError if the type has no such field (unless force) "
           "or if the field cannot hold the value; the config is then unchanged.")
      .def(
          "__setattr__",
          [](AdapterConfig& self, nb::handle field, nb::handle value) {
            set_field(self, field, value, false);
          },
          "field"_a, "value"_a.none(),
          nb::sig("def __setattr__(self, field: str, value: typing.Any) -> None"),
          "As set(): config.r = 8.")
      .def(
          "to_dict", [](const AdapterConfig& self) { return from_json(self.document()); },
          nb::sig("def to_dict(self) -> dict[str, typing.Any]"),
          "Every field, as PEFT's configs give them. A copy.")
      .def("to_json", &AdapterConfig::to_json, "The text that PEFT writes of this config.")
      .def_prop_ro(
          "findings", [](const AdapterConfig& self) { return to_list(self.findings()); },
          nb::sig("def findings(self) -> list[Finding]"),
          "What was found while reading it: upgrades, unknown fields.")
      .def(
          "resolve_strength",
          [](const AdapterConfig& self, std::string_view module_path) {
            return value_or_raise(resolve_strength(self, module_path));
          },
          "module_path"_a,
          "Resolves r, alpha, rsLoRA and the patterns for a module of the base model, as PEFT does "
          "at injection.")
      .def("__getattr__", &attribute, "name"_a,
           nb::sig("def __getattr__(self, name: str) -> typing.Any"),
           "The field of that name, as PEFT's configs have it: config.r, config.lora_alpha.")
      .def(
          "__eq__",
          [](const AdapterConfig& self, nb::handle other) {
            return nb::isinstance<AdapterConfig>(other) &&
                   same_fields(self, nb::cast<const AdapterConfig&>(other));
          },
          "other"_a, nb::sig("def __eq__(self, other: object) -> bool"),
          "Whether all fields are equal.")
      .def(
          "__getstate__",
          [](const AdapterConfig& self) { return to_str(self.document().dump_python(-1, false)); },
          nb::sig("def __getstate__(self) -> str"))
      .def("__setstate__", &restore, "state"_a,
           nb::sig("def __setstate__(self, state: str) -> None"))
      .def("copy", [](const AdapterConfig& self) { return self; })
      .def("__copy__", [](const AdapterConfig& self) { return self; })
      .def(
          "__deepcopy__", [](const AdapterConfig& self, nb::handle) { return self; }, "memo"_a,
          nb::sig("def __deepcopy__(self, memo: typing.Any) -> AdapterConfig"))
      .def("__repr__", [](const AdapterConfig& self) {
        return to_str("<ferrule.AdapterConfig " + self.peft_type() + ">");
      });
  // Equal by value and changeable: not a key of a dict.
  config.attr("__hash__") = nb::none();
  bind_readings(config);

  module.def(
      "peft_types",
      [] {
        const auto types = peft_types();
        return std::vector<std::string>(types.begin(), types.end());
      },
      "Every PEFT type that Ferrule knows, sorted.");
}

}  // namespace ferrule::python
