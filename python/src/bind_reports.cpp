// SPDX-License-Identifier: Apache-2.0
// The verbs that give a report. Each returns the document that the command prints with --json;
// ferrule/_verbs.py makes typed reports of them.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adapter_objects.hpp"
#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/content_id.hpp"
#include "ferrule/exchange.hpp"
#include "ferrule/report_json.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "ferrule/text.hpp"
#include "json_value.hpp"
#include "long_call.hpp"
#include "remote_path.hpp"
#include "tensors_in.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

/// The table in that file, or null for None: the library's own.
std::shared_ptr<const EngineTable> engine_table_of(nb::handle table) {
  if (table.is_none()) return nullptr;
  return std::make_shared<const EngineTable>(
      value_or_raise(EngineTable::open(path_of(table, "engine_table"))));
}

nb::object check_document(const OpenedAdapter& adapter, const OpenedBase& base, nb::handle engines,
                          nb::handle engine_table, bool values, bool allow_partial,
                          nb::handle tick) {
  const auto table = engine_table_of(engine_table);
  CheckOptions options;
  options.engine_table = table.get();
  options.values = values;
  options.allow_partial = allow_partial;
  options.engines = strs_of(engines, "engines");
  auto report = long_read([held = held_by(adapter), model = base.base, table,
                           options] { return check(*held, *model, options); },
                          tick);
  return document_of(to_json(value_or_raise(std::move(report))));
}

nb::object explain_document(const OpenedAdapter& adapter, nb::handle path, nb::handle module) {
  const auto glob = module.is_none() ? std::string() : str_of(module, "module");
  const auto report = long_read([held = held_by(adapter), glob] { return explain(*held, glob); });
  auto fields = to_json(report, *held_by(adapter));
  fields.front().second = path_of(path, "adapter").string();
  return document_of(std::move(fields));
}

nb::object diff_document(const OpenedAdapter& a, const OpenedAdapter& b, nb::handle a_path,
                         nb::handle b_path, bool tensors, nb::handle tick) {
  const auto report =
      long_read([a = held_by(a), b = held_by(b),
                 tensors] { return diff(*a, *b, {.tensors = tensors, .threads = 0}); },
                tick);
  return document_of(to_json(report, path_of(a_path, "a"), path_of(b_path, "b"), tensors));
}

nb::str content_id_of(const OpenedAdapter& adapter, nb::handle tick) {
  return to_str(
      long_read([held = held_by(adapter)] { return content_id(*held, {.threads = 0}); }, tick));
}

nb::object state_dict_document(const OpenedAdapter& adapter, nb::handle path, nb::handle output,
                               nb::handle name) {
  const auto& held = held_by(adapter);
  const auto where = path_of(output, "output");
  const auto adapter_name = str_of(name, "adapter_name");
  const auto live = held->state_dict(adapter_name);
  std::vector<NamedTensor> tensors;
  tensors.reserve(live.size());
  for (const auto& [key, tensor] : live) tensors.push_back({key, tensor});
  value_or_raise(long_write([&] { return write_safetensors(where, tensors, {{"format", "pt"}}); }));
  return document_of(Json::Object{{"path", path_of(path, "adapter").string()},
                                  {"adapter_name", adapter_name},
                                  {"output", where.string()},
                                  {"tensor_count", Json(tensors.size())},
                                  {"findings", to_json(held->findings())}});
}

WeightsFormat format_of(std::string_view value, std::string_view argument) {
  if (value == "safetensors") return WeightsFormat::kSafetensors;
  if (value == "bin") return WeightsFormat::kBin;
  wrong_value(argument, R"("safetensors" or "bin")", value);
}

NormalRank normal_rank_of(std::string_view value) {
  if (value == "uniform") return NormalRank::kUniform;
  if (value == "keep") return NormalRank::kKeep;
  wrong_value("rank", R"("uniform" or "keep")", value);
}

ScalePlace scale_place_of(std::string_view value) {
  if (value == "b") return ScalePlace::kB;
  if (value == "a") return ScalePlace::kA;
  if (value == "split") return ScalePlace::kSplit;
  wrong_value("scale", R"("b", "a" or "split")", value);
}

StoredDtype stored_dtype_of(std::string_view value) {
  if (value == "keep") return StoredDtype::kKeep;
  if (value == "f32") return StoredDtype::kF32;
  if (value == "bf16") return StoredDtype::kBF16;
  if (value == "f16") return StoredDtype::kF16;
  wrong_value("dtype", R"("keep", "f32", "bf16" or "f16")", value);
}

SaveEmbeddings embeddings_of(std::string_view value) {
  if (value == "auto") return SaveEmbeddings::kAuto;
  if (value == "always") return SaveEmbeddings::kAlways;
  if (value == "never") return SaveEmbeddings::kNever;
  wrong_value("embeddings", R"("auto", "always" or "never")", value);
}

nb::object convert_document(nb::handle adapter, nb::handle output, nb::handle to,
                            nb::handle torch_key, nb::handle durability, nb::handle tick) {
  const auto from = local_path_of(adapter, "adapter", false);
  const auto where = path_of(output, "output");
  ConvertOptions options;
  options.threads = 0;
  options.format = format_of(str_of(to, "to"), "to");
  options.durability = durability_of(str_of(durability, "durability"));
  options.open.torch_key = str_of(torch_key, "torch_key");
  const auto report =
      value_or_raise(long_write([&] { return convert(from.path, where, options); }, tick));
  return document_of(to_json(report, where));
}

/// `how`: base, config, from, dtype, arch; a path that is None or "" is not given.
nb::object exchange_document(nb::handle adapter, nb::handle output, nb::handle to, nb::handle from,
                             nb::handle base, nb::handle config, nb::handle dtype, nb::handle arch,
                             nb::handle drop, nb::handle torch_key, nb::handle durability,
                             nb::handle tick) {
  const auto source = local_path_of(adapter, "adapter", false);
  const auto where = path_of(output, "output");
  ExchangeOptions options;
  options.to = str_of(to, "to");
  options.from = str_of(from, "from");
  if (!base.is_none()) options.base = path_of(base, "base");
  if (!config.is_none()) options.config = path_of(config, "config");
  options.dtype = str_of(dtype, "dtype");
  options.arch = str_of(arch, "arch");
  options.drop = strs_of(drop, "drop");
  options.durability = durability_of(str_of(durability, "durability"));
  options.open.torch_key = str_of(torch_key, "torch_key");
  const auto report =
      value_or_raise(long_write([&] { return convert(source.path, where, options); }, tick));
  const Json document = to_json(report);
  return document_of(*document.if_object());
}

nb::object normalize_document(nb::handle adapter, nb::handle output, nb::handle rank,
                              nb::handle scale, nb::handle engines, nb::handle engine_table,
                              nb::handle torch_key, nb::handle base, nb::handle config,
                              nb::handle durability, nb::handle tick) {
  const auto from = local_path_of(adapter, "adapter", false);
  const auto where = path_of(output, "output");
  const auto table = engine_table_of(engine_table);
  NormalizeOptions options;
  options.threads = 0;
  options.engine_table = table.get();
  options.rank = normal_rank_of(str_of(rank, "rank"));
  options.scale = scale_place_of(str_of(scale, "scale"));
  options.engines = strs_of(engines, "engines");
  options.durability = durability_of(str_of(durability, "durability"));
  options.open.torch_key = str_of(torch_key, "torch_key");
  ExchangeOptions foreign;
  if (!base.is_none()) foreign.base = path_of(base, "base");
  if (!config.is_none()) foreign.config = path_of(config, "config");
  const auto report = value_or_raise(
      long_write([&] { return normalize_any(from.path, where, options, foreign); }, tick));
  return document_of(to_json(report, where));
}

nb::object fix_document(nb::handle adapter, nb::handle output, const OpenedBase* base,
                        nb::handle durability, nb::handle tick) {
  const auto from = local_path_of(adapter, "adapter", false);
  const auto where = path_of(output, "output");
  FixOptions options;
  options.base = base == nullptr ? nullptr : base->base.get();
  options.durability = durability_of(str_of(durability, "durability"));
  const auto report =
      value_or_raise(long_write([&] { return fix(from.path, where, options); }, tick));
  return document_of(to_json(report, where));
}

/// The pairs of a dict of str to AdapterConfig, in its order.
std::vector<NamedConfig> configs_of(nb::dict configs) {
  std::vector<NamedConfig> named;
  for (const auto& [name, config] : configs) {
    named.push_back({.name = str_of(name, "config"), .config = nb::cast<AdapterConfig>(config)});
  }
  return named;
}

/// What save() takes besides the tensors, checked.
SaveOptions save_options(nb::handle select, nb::handle format, nb::handle embeddings,
                         nb::handle initial, const OpenedBase* base, bool fingerprint,
                         nb::handle facts, nb::handle card, nb::handle dtype,
                         nb::handle durability) {
  SaveOptions options;
  options.threads = 0;
  if (!select.is_none()) options.selected_adapters = strs_of(select, "select");
  options.format = format_of(str_of(format, "format"), "format");
  options.save_embedding_layers = embeddings_of(str_of(embeddings, "embeddings"));
  if (!initial.is_none()) options.initial = path_of(initial, "initial");
  if (base != nullptr) {
    options.base_config = base->base->config();
    if (fingerprint && !base->base->has_tensors()) {
      raise(ErrorCode::kInvalidArgument,
            "fingerprint needs the base's weights or their index, not only its config");
    }
    if (fingerprint) options.base_fingerprint = base->base->fingerprint();
  } else if (fingerprint) {
    raise(ErrorCode::kInvalidArgument, "fingerprint needs base");
  }
  if (!facts.is_none()) {
    options.facts = value_or_raise(ModelFacts::parse(to_json(facts, "facts").dump()));
  }
  options.card = card_of(card);
  options.dtype = stored_dtype_of(str_of(dtype, "dtype"));
  options.durability = durability_of(str_of(durability, "durability"));
  return options;
}

nb::object save_document(nb::handle state, nb::handle directory, nb::dict config, nb::handle select,
                         nb::handle format, nb::handle embeddings, nb::handle initial,
                         const OpenedBase* base, bool fingerprint, nb::handle facts,
                         nb::handle card, nb::handle dtype, nb::handle durability,
                         nb::handle tick) {
  const auto where = path_of(directory, "directory");
  const auto configs = configs_of(config);
  const auto options = save_options(select, format, embeddings, initial, base, fingerprint, facts,
                                    card, dtype, durability);
  const TensorSource* source = nullptr;
  std::shared_ptr<LiveTensors> live;
  if (nb::isinstance<OpenedCheckpoint>(state)) {
    source = nb::cast<const OpenedCheckpoint&>(state).checkpoint.get();
  } else {
    live = LiveTensors::of(state, "state");
    source = live.get();
  }
  const auto report =
      value_or_raise(long_write([&] { return save(*source, configs, where, options); }, tick));
  return document_of(to_json(report));
}

}  // namespace

void bind_reports(nb::module_& module) {
  constexpr const char* kDocument = "The document of the command's --json.";
  module.def("check", &check_document, "adapter"_a, "base"_a, "engines"_a.none(),
             "engine_table"_a.none(), "values"_a, "allow_partial"_a, "tick"_a.none(), kDocument);
  module.def("explain", &explain_document, "adapter"_a, "path"_a.none(), "module"_a.none(),
             kDocument);
  module.def("diff", &diff_document, "a"_a, "b"_a, "a_path"_a, "b_path"_a, "tensors"_a,
             "tick"_a.none(), kDocument);
  module.def("state_dict", &state_dict_document, "adapter"_a, "path"_a, "output"_a.none(),
             "adapter_name"_a.none(), kDocument);
  module.def("content_id", &content_id_of, "adapter"_a, "tick"_a.none(), "64 hexadecimal digits.");
  module.def("exchange", &exchange_document, "adapter"_a.none(), "output"_a.none(), "to"_a.none(),
             "source"_a.none(), "base"_a.none(), "config"_a.none(), "dtype"_a.none(),
             "arch"_a.none(), "drop"_a.none(), "torch_key"_a.none(), "durability"_a.none(),
             "tick"_a.none(), kDocument);
  module.def("convert", &convert_document, "adapter"_a.none(), "output"_a.none(), "to"_a.none(),
             "torch_key"_a.none(), "durability"_a.none(), "tick"_a.none(), kDocument);
  module.def("normalize", &normalize_document, "adapter"_a.none(), "output"_a.none(),
             "rank"_a.none(), "scale"_a.none(), "engines"_a.none(), "engine_table"_a.none(),
             "torch_key"_a.none(), "base"_a.none(), "config"_a.none(), "durability"_a.none(),
             "tick"_a.none(), kDocument);
  module.def("fix", &fix_document, "adapter"_a.none(), "output"_a.none(), "base"_a.none(),
             "durability"_a.none(), "tick"_a.none(), kDocument);
  module.def("save", &save_document, "state"_a.none(), "directory"_a.none(), "config"_a,
             "select"_a.none(), "format"_a.none(), "embeddings"_a.none(), "initial"_a.none(),
             "base"_a.none(), "fingerprint"_a, "facts"_a.none(), "card"_a.none(), "dtype"_a.none(),
             "durability"_a.none(), "tick"_a.none(), kDocument);
}

}  // namespace ferrule::python
