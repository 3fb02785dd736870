// SPDX-License-Identifier: Apache-2.0
#include "adapter/module_rules.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "adapter/cut_ranks.hpp"
#include "adapter/optional_tensors.hpp"
#include "base/shape_text.hpp"
#include "ferrule/text.hpp"
#include "peft/dialect.hpp"
#include "peft/strength.hpp"
#include "peft/targets.hpp"

namespace ferrule::adapter {
namespace {

using peft::KeyKind;

Finding error(std::string rule, std::string_view key, std::string message,
              std::string advice = {}) {
  return {.severity = Severity::kError,
          .rule = std::move(rule),
          .path = {},
          .key = std::string(key),
          .message = std::move(message),
          .advice = std::move(advice)};
}

Finding warning(std::string rule, std::string_view key, std::string message) {
  auto finding = error(std::move(rule), key, std::move(message));
  finding.severity = Severity::kWarning;
  return finding;
}

bool has_role(const AdapterModule& module, std::string_view role) {
  return std::any_of(module.tensors().begin(), module.tensors().end(),
                     [&](const AdapterTensor& tensor) { return tensor.role == role; });
}

// AD-4: a half of a pair does nothing, and PEFT loads the other half at its initial value.
void judge_pairs(const peft::Method& method, const AdapterModule& module,
                 std::vector<Finding>& out) {
  for (const auto& [first, second] : method.pairs) {
    const bool has_first = has_role(module, first);
    if (has_first == has_role(module, second)) continue;
    const auto there = has_first ? first : second;
    const auto lacking = has_first ? second : first;
    out.push_back(error("AD-4", module.find(there)->key,
                        "module " + quote(module.path()) + " has " + std::string(there) +
                            " without " + std::string(lacking),
                        "the file is incomplete: save it again from the whole state dict"));
  }
}

// AD-3: what a sharded model leaves when one rank saves it.
void judge_shape(const peft::Method& method, const AdapterTensor& tensor,
                 std::vector<Finding>& out) {
  // An OFT rotation of blocks of one element has no angles.
  const bool pruned = method.peft_type == "ADALORA" || method.peft_type == "VBLORA" ||
                      (method.peft_type == "OFT" && tensor.role == "oft_R");
  const bool empty = std::find(tensor.tensor.shape().begin(), tensor.tensor.shape().end(), 0U) !=
                     tensor.tensor.shape().end();
  const bool matrix =
      (tensor.role == "lora_A" || tensor.role == "lora_B" || tensor.role == "lora_embedding_A" ||
       tensor.role == "lora_embedding_B" || tensor.role == "hira_A" || tensor.role == "hira_B" ||
       tensor.role == "delora_A" || tensor.role == "delora_B" ||
       tensor.role.starts_with("hada_w")) &&
      tensor.leaf != "bias";
  if (empty && !(pruned && tensor.tensor.shape().size() > 1)) {
    out.push_back(
        error("AD-3", tensor.key,
              "tensor " + quote(tensor.key) + " of shape " +
                  base::shape_text(tensor.tensor.shape()) + " is empty",
              "a sharded model (ZeRO-3, FSDP) was saved by one rank: gather the parameters "
              "before saving"));
  } else if (matrix && tensor.tensor.shape().size() < 2) {
    out.push_back(
        error("AD-3", tensor.key,
              "tensor " + quote(tensor.key) + " of shape " +
                  base::shape_text(tensor.tensor.shape()) + " should have at least two dimensions",
              "a flattened shard of a sharded model was saved: gather the parameters before "
              "saving"));
  }
}

/// The rank that AdaLoRA's pattern leaves the module, or init_r.
std::optional<std::uint64_t> adalora_rank(const AdapterConfig& config, std::string_view path) {
  const auto* pattern = config.find("rank_pattern");
  if (pattern != nullptr && pattern->if_object() != nullptr) {
    if (const auto* mask = pattern->find(std::string(path) + ".lora_E");
        mask != nullptr && mask->if_array() != nullptr) {
      return static_cast<std::uint64_t>(std::count_if(
          mask->if_array()->begin(), mask->if_array()->end(),
          [](const Json& flag) { return flag.if_bool() != nullptr && *flag.if_bool(); }));
    }
  }
  const auto rank = config.integer("init_r");
  return rank && *rank >= 0 ? std::optional(static_cast<std::uint64_t>(*rank)) : std::nullopt;
}

void demand_rank(const AdapterTensor& tensor, std::size_t axis, std::uint64_t rank, bool multiple,
                 std::string_view why, std::vector<Finding>& out) {
  if (tensor.tensor.shape().size() <= axis) return;
  const auto found = tensor.tensor.shape()[axis];
  if (found == rank || (multiple && rank != 0 && found % rank == 0)) return;
  out.push_back(error("AD-5", tensor.key,
                      "tensor " + quote(tensor.key) + " of shape " +
                          base::shape_text(tensor.tensor.shape()) + " has rank " +
                          std::to_string(found) + ", the config says " + std::to_string(rank) +
                          (why.empty() ? "" : " (" + std::string(why) + ")"),
                      "the config belongs to another adapter, or was edited"));
}

// AD-5: as many frequencies as the config says, if it says the same for every layer.
void judge_spectrum(const AdapterConfig& config, const AdapterModule& module,
                    std::vector<Finding>& out) {
  const auto wanted = config.integer("n_frequency");
  const auto* pattern = config.find("n_frequency_pattern");
  const bool varies =
      pattern != nullptr && pattern->if_object() != nullptr && !pattern->if_object()->empty();
  if (!wanted || *wanted < 1 || varies || config.flag("proportional_parameters")) return;
  for (const auto& tensor : module.tensors()) {
    if (!tensor.role.ends_with("_spectrum") || tensor.tensor.shape().size() != 1) continue;
    const auto found = tensor.tensor.shape()[0];
    if (found == static_cast<std::uint64_t>(*wanted)) continue;
    out.push_back(error("AD-5", tensor.key,
                        "tensor " + quote(tensor.key) + " has " + std::to_string(found) +
                            " frequencies, the config says " + std::to_string(*wanted),
                        "the config belongs to another adapter, or was edited"));
  }
}

// AD-5: PEFT sizes its tensors by the config and refuses others.
void judge_ranks(const AdapterConfig& config, const peft::Method& method,
                 const AdapterModule& module, std::vector<Finding>& out) {
  if (method.peft_type == "FOURIERFT" || method.peft_type == "WAVEFT") {
    return judge_spectrum(config, module, out);
  }
  if (method.peft_type == "ADALORA") {
    const auto rank = adalora_rank(config, module.path());
    for (const auto& [role, axis] :
         {std::pair<std::string_view, std::size_t>{"lora_A", 0}, {"lora_E", 0}, {"lora_B", 1}}) {
      const auto* tensor = module.find(role);
      if (tensor != nullptr && rank) demand_rank(*tensor, axis, *rank, false, {}, out);
    }
    return;
  }
  const auto& resolved = module.resolved();
  if (!resolved.rank) return;
  if (*resolved.rank < 1) {
    if (!config.rank_pattern().empty()) {
      out.push_back(error("CF-12", "rank_pattern",
                          "module " + quote(module.path()) + " gets the rank " +
                              std::to_string(static_cast<std::int64_t>(*resolved.rank)) + " (" +
                              resolved.rule + "), and a rank is positive",
                          "PEFT raises ValueError when it makes the layer"));
    }
    return;
  }
  const auto rank = static_cast<std::uint64_t>(*resolved.rank);
  if (is_cut_to_layer(config, module, rank)) return;
  // Fused experts hold r rows for each expert.
  const bool multiple = !config.target_parameters().empty();
  for (const auto& [role, axis] : method.ranks) {
    const auto* tensor = module.find(role);
    if (tensor != nullptr) {
      demand_rank(*tensor, static_cast<std::size_t>(axis), rank, multiple, resolved.rule, out);
    }
  }
  const auto* a = module.find("lora_A");
  const auto* b = module.find("lora_B");
  if (a == nullptr || b == nullptr || a->tensor.shape().empty() || b->tensor.shape().size() < 2)
    return;
  const auto rows = a->tensor.shape()[0];
  const auto columns = b->tensor.shape()[1];
  // Grouped convolutions and block-diagonal LoRA divide B's columns.
  const auto* blocks = config.find("use_bdlora");
  const bool divided = b->tensor.shape().size() > 2 || (blocks != nullptr && !blocks->is_null());
  if (rows == columns || (divided && columns != 0 && rows % columns == 0)) return;
  out.push_back(error("AD-5", b->key,
                      "tensor " + quote(b->key) + " of shape " +
                          base::shape_text(b->tensor.shape()) + " does not fit lora_A of shape " +
                          base::shape_text(a->tensor.shape()) +
                          (a->tensor.shape().size() == 3 && b->tensor.shape().size() == 3
                               ? ": factors of three dimensions are one per expert; PEFT keeps "
                                 "those of all experts in flat ones, with target_parameters"
                               : "")));
}

struct Required {
  std::string_view peft_type;
  std::string_view key;
  std::string_view flag;
};

// AD-12: PEFT raises without these.
constexpr Required kRequired[] = {
    {"VERA", "base_model.vera_A", "save_projection"},
    {"VERA", "base_model.vera_B", "save_projection"},
    {"PVERA", "base_model.pvera_A", "save_projection"},
    {"PVERA", "base_model.pvera_B", "save_projection"},
    {"UNILORA", "base_model.unilora_theta_d", {}},
    {"VBLORA", "base_model.vblora_vector_bank", {}},
    {"MULTITASK_PROMPT_TUNING", "prefix_task_cols", {}},
    {"MULTITASK_PROMPT_TUNING", "prefix_task_rows", {}},
};

void judge_required(const AdapterConfig& config, const Examination& examination,
                    std::vector<Finding>& out) {
  const auto has = [&](std::string_view key) {
    return std::any_of(examination.tensors.begin(), examination.tensors.end(),
                       [&](const AdapterTensor& tensor) { return tensor.key == key; });
  };
  for (const auto& [type, key, flag] : kRequired) {
    if (config.peft_type() != type || (!flag.empty() && !config.flag(flag)) || has(key)) continue;
    out.push_back(error("AD-12", key,
                        "there is no tensor " + quote(key) + ", which " + std::string(type) +
                            " cannot be loaded without"));
  }
  if (config.is_prompt_learning() && !has("prompt_embeddings")) {
    out.push_back(error("AD-12", "prompt_embeddings", "there is no tensor \"prompt_embeddings\""));
  }
  if (config.peft_type() == "FROD" && config.flag("save_projection") &&
      std::none_of(examination.keys.begin(), examination.keys.end(), [](const peft::DiskKey& key) {
        return key.kind == KeyKind::kMethod && key.scope == peft::Scope::kModel;
      })) {
    out.push_back(error("AD-12", "base_model.frod_V",
                        "save_projection is set and no projection is in the file"));
  }
}

// AD-13: PEFT wraps the modules that the base has, and raises KeyError for a wrapped one without
// its tensors. The adapter alone cannot tell which are in the base. Task types add head names of
// which a model has one at most, so one entry may be absent without a word.
void judge_saved_modules(const AdapterConfig& config, const Examination& examination,
                         std::vector<Finding>& out) {
  const auto entries = config.modules_to_save();
  std::vector<std::string> lacking;
  for (const auto& entry : entries) {
    const bool found = std::any_of(
        examination.keys.begin(), examination.keys.end(), [&](const peft::DiskKey& key) {
          return key.kind == KeyKind::kModulesToSave && key.module.ends_with(entry);
        });
    if (!found) lacking.push_back(entry);
  }
  const bool all = lacking.size() == entries.size();
  for (const auto& entry : lacking) {
    const bool head = entry == "classifier" || entry == "score" || entry == "qa_outputs";
    if (head && !all) continue;
    out.push_back(warning("AD-13", entry,
                          "modules_to_save names " + quote(entry) +
                              ", and the file has no tensor of it: PEFT raises KeyError if the "
                              "base has such a module"));
  }
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_embedding_or_head(std::string_view path) {
  const auto name = path.substr(path.rfind('.') + 1);
  return name.find("embed") != std::string_view::npos || name.ends_with("head") || name == "wte" ||
         name == "shared" || name == "output" || name == "decoder";
}

/// Letters of other alphabets look like Latin ones, and no expression matches them.
std::string look_alike(std::string_view path, const AdapterConfig& config) {
  const auto targets = config.target_modules();
  const bool plain = is_ascii(path) && targets && is_ascii(targets->pattern) &&
                     std::all_of(targets->names.begin(), targets->names.end(),
                                 [](const std::string& name) { return is_ascii(name); });
  return plain ? std::string() : "; one of the two has a letter that only looks like another";
}

// AD-23: a PeftModel that was wrapped again has its own prefix in every path.
void judge_prefix(const Examination& examination, std::vector<Finding>& out) {
  constexpr std::string_view kPrefix = "base_model.model.";
  std::size_t twice = 0;
  const AdapterModule* first = nullptr;
  for (const auto& module : examination.modules) {
    if (!module.path().starts_with(kPrefix)) continue;
    if (twice++ == 0) first = &module;
  }
  if (first == nullptr || twice != examination.modules.size()) return;
  out.push_back(
      warning("AD-23", first->path(),
              "every key starts with \"base_model.model.\" twice, as a PeftModel that "
              "was wrapped again saves them: PEFT finds none of the modules in the base"));
  out.back().advice = "ferrule fix --base removes the second one";
}

// AD-14: tensors of a module that the config does not target are dropped on load.
void judge_targets(const AdapterConfig& config, const Examination& examination,
                   std::vector<Finding>& out) {
  const auto& type = config.peft_type();
  if (type == "SHADOW" || type == "XLORA" || type == "ADAPTION_PROMPT" ||
      type == "TRAINABLE_TOKENS") {
    return;
  }
  const auto rule = peft::TargetRule::compile(config);
  // Where an expression is bad, CF-20 or CF-21 tells it; "all-linear" needs the base.
  if (!rule || !rule->known()) return;
  std::set<std::string_view> adapted;
  for (const auto& key : examination.keys) {
    if (key.kind == KeyKind::kMethod && key.scope == peft::Scope::kLayer) {
      adapted.insert(peft::base_path(key.module));
    }
  }
  for (const auto& module : examination.modules) {
    // nn.MultiheadAttention's output projection is adapted with it.
    if (!adapted.contains(module.path()) ||
        module.path().find("base_layer") != std::string_view::npos) {
      continue;
    }
    const auto hit = rule->selects(module.path());
    if (!hit) {
      out.push_back(warning(hit.error().rule, "target_modules", hit.error().message));
      return;
    }
    if (*hit) continue;
    // PEFT targets the layer that is tied to a targeted embedding, too, and names it nowhere.
    if (config.flag("ensure_weight_tying") && is_embedding_or_head(module.path())) continue;
    // A layer on a parameter (fused experts) is asked for under the parameter's name.
    const auto asked = peft::pattern_paths(config, module.path());
    if (asked.size() != 1 || asked.front() != module.path()) continue;
    out.push_back(error("AD-14", module.path(),
                        "target_modules does not select module " + quote(module.path()) +
                            ", which the file has tensors of: PEFT would drop them" +
                            look_alike(module.path(), config)));
    out.back().module = std::string(module.path());
  }
}

/// AD-1 names another program's adapter where that is what it is.
Finding nothing_of_the_method(const AdapterConfig& config, const Examination& examination) {
  for (const auto& tensor : examination.tensors) {
    const auto* dialect = peft::dialect_of_key(tensor.key);
    if (dialect == nullptr) continue;
    return error("AD-1", {},
                 "the tensors are those of " + peft::describe({dialect, tensor.key}) +
                     ", and none of them is of " + config.peft_type(),
                 std::string(dialect->advice));
  }
  return error("AD-1", {}, "the adapter is empty: the file has no tensor of " + config.peft_type(),
               examination.tensors.empty()
                   ? "the model was saved without its adapter's parameters (one rank of a sharded "
                     "model, or a wrapper's state dict)"
                   : "the tensors belong to another adapter or to a model");
}

}  // namespace

std::vector<Finding> judge_modules(const AdapterConfig& config, const peft::Method& method,
                                   const Examination& examination) {
  std::vector<Finding> out;
  const bool any =
      std::any_of(examination.keys.begin(), examination.keys.end(), [](const peft::DiskKey& key) {
        return key.kind == KeyKind::kMethod || key.kind == KeyKind::kPrompt ||
               key.kind == KeyKind::kTokens || key.kind == KeyKind::kModulesToSave;
      });
  if (!any) {
    out.push_back(nothing_of_the_method(config, examination));
  }
  for (const auto& module : examination.modules) {
    const auto before = out.size();
    judge_pairs(method, module, out);
    for (const auto& tensor : module.tensors()) {
      if (!tensor.role.empty()) judge_shape(method, tensor, out);
    }
    judge_ranks(config, method, module, out);
    for (auto i = before; i < out.size(); ++i) out[i].module = std::string(module.path());
  }
  if (any) {
    judge_required(config, examination, out);
    judge_saved_modules(config, examination, out);
    judge_targets(config, examination, out);
    judge_prefix(examination, out);
    for (auto& finding : judge_optional_tensors(config, method, examination)) {
      out.push_back(std::move(finding));
    }
  }
  return out;
}

}  // namespace ferrule::adapter
