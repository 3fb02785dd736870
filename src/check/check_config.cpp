// SPDX-License-Identifier: Apache-2.0
#include "check/check_config.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/try.hpp"
#include "ferrule/save_pretrained.hpp"
#include "ferrule/text.hpp"
#include "peft/method.hpp"
#include "regex/pattern.hpp"

namespace ferrule::checks {
namespace {

constexpr std::size_t kMaxNamed = 8;

bool is_method_tensor(const AdapterTensor& tensor) {
  return !tensor.role.empty() && tensor.role != "modules_to_save" && tensor.role != "bias" &&
         tensor.role != "embedding" && tensor.role != "trainable_tokens";
}

bool is_adapted(const AdapterModule& module) {
  return !module.path().empty() && std::any_of(module.tensors().begin(), module.tensors().end(),
                                               [](const auto& t) { return is_method_tensor(t); });
}

/// Types whose layers are not simply those that target_modules names.
bool has_targets(const std::string& type) {
  return type != "SHADOW" && type != "XLORA" && type != "ADAPTION_PROMPT" &&
         type != "TRAINABLE_TOKENS";
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kMaxNamed; ++i) {
    text += (text.empty() ? "" : ", ") + quote(names[i]);
  }
  if (names.size() > kMaxNamed)
    text += " and " + std::to_string(names.size() - kMaxNamed) + " more";
  return text;
}

class Comparison {
 public:
  Comparison(const Adapter& adapter, const model::BaseIndex& base, const MatchResult& match,
             const peft::TargetRule& targets)
      : adapter_(adapter),
        config_(adapter.config()),
        base_(base),
        match_(match),
        targets_(targets) {
    for (const auto& m : match.modules) {
      if (!is_adapted(*m.module)) continue;
      ++levels_[m.live];
      // Experts one by one become two parameters of the module they lie in.
      converted_ |= m.standing == Standing::kConverted;
    }
  }

  Result<std::vector<Finding>> run() {
    if (has_targets(config_.peft_type()) && !levels_.empty()) {
      FERRULE_CHECK(find_untargeted());
      if (match_.matched > 0 && !converted_) FERRULE_CHECK(find_missing());
      find_unanswered();
    }
    find_shared_changes();
    find_packed();
    compare_fingerprint();
    return std::move(out_);
  }

 private:
  bool is_parameter_level(const ModuleMatch& match) const {
    const auto below = base_.below(match.live);
    return std::any_of(below.begin(), below.end(), [&](const model::BaseTensor& tensor) {
      return targets_.selects_parameter(tensor.name);
    });
  }

  // BS-11: PEFT makes no layer there, and drops the tensors.
  Result<void> find_untargeted() {
    const bool replicated = config_.find("layer_replication") != nullptr &&
                            !config_.find("layer_replication")->is_null();
    if (!targets_.known() || replicated) return {};
    for (const auto& match : match_.modules) {
      if (!is_adapted(*match.module) || match.standing == Standing::kConverted) continue;
      const auto path = match.module->path();
      if (path.find("base_layer") != std::string_view::npos || is_parameter_level(match)) continue;
      FERRULE_TRY(const bool named, targets_.selects(path));
      if (named) continue;
      FERRULE_TRY(const bool live, targets_.selects(match.live));
      if (live || config_.flag("ensure_weight_tying")) continue;
      if (match.standing == Standing::kMatched && base_.names.converts_experts() &&
          match.live.ends_with(".gate")) {
        continue;
      }
      out_.push_back(
          about(Severity::kError, "BS-11", path,
                "the config does not target it, and the file has tensors of it: PEFT makes "
                "no layer there and drops them",
                "the config belongs to another adapter, or was edited"));
    }
    return {};
  }

  /// Layers that the live model does not have although the file does (multi-token prediction).
  bool is_left_out(const std::string& path) const {
    const auto* row = base_.names.model_class();
    for (const auto pattern :
         row == nullptr ? std::vector<std::string_view>() : model::entries(row->ignored, '\t')) {
      const auto compiled = regex::Pattern::compile(pattern);
      if (!compiled) continue;
      const auto hit = compiled->search(path + ".weight");
      if (hit && *hit) return true;
    }
    return false;
  }

  // BS-12: PEFT makes these layers and leaves them at their start.
  Result<void> find_missing() {
    std::vector<std::string> missing;
    const bool norms = config_.peft_type() == "LN_TUNING";
    for (const auto& path : base_.modules) {
      if (levels_.contains(path) || !targets_.known()) continue;
      const auto* weight = base_.find(path + ".weight");
      if (weight == nullptr && !base_.is_packed(path)) continue;
      if (weight != nullptr && weight->shape_known && weight->shape.size() < 2 && !norms) continue;
      FERRULE_TRY(const bool wanted, targets_.selects(path));
      if (wanted && !is_left_out(path) && !is_tied_twin(path)) missing.push_back(path);
    }
    std::map<std::string, std::size_t> parameters;
    for (const auto& tensor : base_.tensors) {
      if (targets_.selects_parameter(tensor.name))
        ++parameters[tensor.name.substr(0, tensor.name.rfind('.'))];
    }
    for (const auto& [path, count] : parameters) {
      const auto found = levels_.find(path);
      if ((found == levels_.end() || found->second < count) && !is_left_out(path))
        missing.push_back(path);
    }
    if (missing.empty()) return {};
    out_.push_back(
        about(Severity::kError, "BS-12", missing.front(),
              "the config targets " + std::to_string(missing.size()) +
                  " modules of the base that the file has no tensors of: " + list_of(missing) +
                  "; PEFT leaves them untrained",
              "the file is incomplete, or the base is larger than the one it was trained on"));
    return {};
  }

  /// With tied embeddings an adapter may keep the tensors of one of the two.
  bool is_tied_twin(const std::string& path) const {
    for (const auto& [name, kept] : base_.tied) {
      if (name == path + ".weight" || kept == path + ".weight") {
        const auto& other = name == path + ".weight" ? kept : name;
        if (levels_.contains(other.substr(0, other.rfind('.')))) return true;
      }
    }
    return false;
  }

  // BS-10
  void find_unanswered() {
    const auto selector = config_.target_modules();
    if (!selector || selector->is_pattern) return;
    for (const auto& name : selector->names) {
      const bool answered =
          std::any_of(match_.modules.begin(), match_.modules.end(), [&](const ModuleMatch& m) {
            const auto path = m.module->path();
            return path == name || path.ends_with("." + name) || m.live.ends_with("." + name);
          });
      if (answered) continue;
      out_.push_back(
          about(Severity::kWarning, "BS-10", name,
                "target_modules names " + quote(name) + ", and no tensor answers to it"));
    }
  }

  // BS-13
  void find_shared_changes() {
    std::vector<std::string> biases;
    std::vector<std::string> embeddings;
    for (const auto& tensor : adapter_.tensors()) {
      if (tensor.role == "bias") biases.emplace_back(tensor.key);
      if (tensor.role == "embedding") embeddings.emplace_back(tensor.key);
    }
    if (!biases.empty()) {
      out_.push_back(
          about(Severity::kWarning, "BS-13", biases.front(),
                "bias is " + quote(config_.bias()) + ": " + std::to_string(biases.size()) +
                    " biases of the base itself are replaced at load, for every adapter and "
                    "when this one is switched off"));
    }
    if (!embeddings.empty()) {
      out_.push_back(
          about(Severity::kNote, "BS-13", embeddings.front(),
                "the file holds " + std::to_string(embeddings.size()) +
                    " whole embeddings, which replace the base's own at load for every adapter"));
    }
  }

  // BS-14
  void find_packed() {
    const auto packed =
        std::count_if(match_.modules.begin(), match_.modules.end(),
                      [&](const ModuleMatch& m) { return base_.is_packed(m.live); });
    if (packed == 0) return;
    out_.push_back(about(
        Severity::kNote, "BS-14", {},
        "the base is quantised (" + base_.packing + "): " + std::to_string(packed) +
            " modules were found by name, and their shapes are packed and were not compared"));
  }

  // BS-15
  void compare_fingerprint() {
    for (const auto& [key, value] : adapter_.metadata()) {
      if (key != kBaseFingerprintKey || value == base_.fingerprint) continue;
      const bool quantised = !base_.packed.empty();
      out_.push_back(
          about(quantised ? Severity::kNote : Severity::kWarning, "BS-15", {},
                "the base is not the one that the adapter was saved for: its names and shapes "
                "have the fingerprint " +
                    base_.fingerprint.substr(0, 12) + "..., the adapter's is " +
                    quote(value.substr(0, 12) + "..."),
                "give the base that it was trained on"));
    }
  }

  const Adapter& adapter_;
  const AdapterConfig& config_;
  const model::BaseIndex& base_;
  const MatchResult& match_;
  const peft::TargetRule& targets_;
  /// Adapted live paths, and how many layers hang on each (several on fused experts).
  std::map<std::string, std::size_t, std::less<>> levels_;
  bool converted_ = false;
  std::vector<Finding> out_;
};

std::optional<std::int64_t> first_of(const model::BaseIndex& base,
                                     std::initializer_list<const char*> fields) {
  for (const auto* field : fields) {
    if (const auto value = base.config_integer(field)) return value;
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<Finding>> compare_config(const Adapter& adapter, const model::BaseIndex& base,
                                            const MatchResult& match,
                                            const peft::TargetRule& targets) {
  return Comparison(adapter, base, match, targets).run();
}

std::vector<Finding> compare_prompt(const Adapter& adapter, const model::BaseIndex& base) {
  std::vector<Finding> out;
  const auto& type = adapter.config().peft_type();
  const auto width = first_of(base, {"hidden_size", "n_embd", "d_model", "dim"});
  for (const auto& tensor : adapter.tensors()) {
    const auto shape = tensor.tensor.shape();
    if (tensor.key != "prompt_embeddings" || shape.size() != 2 || !width || *width <= 0) continue;
    auto expected = static_cast<std::uint64_t>(*width);
    if (type == "PREFIX_TUNING" || type == "CARTRIDGE") {
      const auto layers = first_of(base, {"num_hidden_layers", "n_layer", "num_layers"});
      const auto heads = first_of(base, {"num_attention_heads", "n_head", "num_heads"});
      const auto kv_heads = base.config_integer("num_key_value_heads").value_or(heads.value_or(0));
      if (!layers || !heads || *heads <= 0 || *layers <= 0 || kv_heads <= 0) continue;
      const auto head = base.config_integer("head_dim").value_or(*width / *heads);
      expected =
          static_cast<std::uint64_t>(*layers) * 2 * static_cast<std::uint64_t>(kv_heads * head);
    }
    if (shape[1] == expected) continue;
    out.push_back(about(Severity::kError, "BS-2", {},
                        "prompt_embeddings has " + std::to_string(shape[1]) +
                            " columns, the base needs " + std::to_string(expected),
                        "it was trained on a model of another size"));
  }
  return out;
}

std::vector<Finding> compare_with_config_alone(const Adapter& adapter,
                                               const model::BaseIndex& base) {
  auto out = compare_prompt(adapter, base);
  const bool composed = base.config.find("text_config") != nullptr ||
                        base.config.find("vision_config") != nullptr ||
                        base.config.find("encoder") != nullptr;
  const auto layers = first_of(base, {"num_hidden_layers", "n_layer", "num_layers"});
  const auto vocabulary = base.config_integer("vocab_size");
  const bool replicated = adapter.config().find("layer_replication") != nullptr &&
                          !adapter.config().find("layer_replication")->is_null();
  for (const auto& module : adapter.modules()) {
    const auto number = peft::layer_number(module.path());
    if (layers && *layers >= 0 && number && !composed && !replicated &&
        *number >= static_cast<std::uint64_t>(*layers)) {
      out.push_back(about(Severity::kError, "BS-8", module.path(),
                          "the config says " + std::to_string(*layers) +
                              " layers, this is of layer " + std::to_string(*number),
                          "it was trained on a model of another size"));
    }
    const auto rows = module.tensor("lora_embedding_A");
    const auto path = module.path();
    const bool words = path.ends_with("embed_tokens") || path.ends_with("wte") ||
                       path.ends_with("word_embeddings");
    if (rows && vocabulary && *vocabulary > 0 && words && rows->shape().size() == 2 &&
        rows->shape()[1] != static_cast<std::uint64_t>(*vocabulary)) {
      out.push_back(about(Severity::kError, "BS-9", path,
                          "the vocabulary was resized: the adapter has " +
                              std::to_string(rows->shape()[1]) + " rows, the base has " +
                              std::to_string(*vocabulary),
                          "resize the base's embeddings before loading"));
    }
  }
  return out;
}

}  // namespace ferrule::checks
