// SPDX-License-Identifier: Apache-2.0
#include "check/check_config.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/try.hpp"
#include "check/adaptable.hpp"
#include "check/module_shapes.hpp"
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
  Comparison(const Adapter& adapter, const LiveConfig& live, const model::BaseIndex& base,
             const MatchResult& match, const peft::TargetRule& targets)
      : adapter_(adapter),
        config_(adapter.config()),
        live_(live),
        base_(base),
        match_(match),
        targets_(targets) {
    for (const auto& m : match.modules) {
      if (!is_adapted(*m.module)) continue;
      ++levels_[m.live];
      // Experts one by one become parameters of the module they are in; ExpertGroups checks them.
      converted_ |= m.standing == Standing::kConverted || m.standing == Standing::kSaid;
    }
  }

  Result<std::vector<Finding>> run() {
    if (has_targets(config_.peft_type()) && !levels_.empty()) {
      FERRULE_CHECK(find_untargeted());
      if (match_.matched > 0) FERRULE_CHECK(find_missing());
      find_unanswered();
    }
    find_unsaved();
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
      if (!is_adapted(*match.module) || match.standing == Standing::kConverted ||
          match.standing == Standing::kSaid) {
        continue;
      }
      const auto path = match.module->path();
      if (path.find("base_layer") != std::string_view::npos || is_parameter_level(match)) continue;
      FERRULE_TRY(const bool named, targets_.selects(path));
      if (named) continue;
      FERRULE_TRY(const bool live, targets_.selects(match.live));
      if (live || config_.flag("ensure_weight_tying")) continue;
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
      if (!adapts(config_.peft_type(), base_.kind_of(path).letter)) continue;  // BS-24 says so.
      FERRULE_TRY(const bool wanted, targets_.selects(path));
      if (wanted && !is_left_out(path) && !is_tied_twin(path)) missing.push_back(path);
    }
    std::map<std::string, std::size_t> parameters;
    for (const auto& tensor : base_.tensors) {
      if (!converted_ && targets_.selects_parameter(tensor.name))
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
    if (!selector || selector->is_pattern || live_.all_linear) return;
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

  // BS-27: PEFT raises KeyError.
  void find_unsaved() {
    std::vector<std::string> missing;
    const auto names = config_.modules_to_save();
    if (names.empty()) return;
    for (const auto& module : base_.all_modules) {
      const bool named = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        return module.path == name || module.path.ends_with("." + name);
      });
      if (!named || base_.below(module.path).empty() || is_tied_twin(module.path)) continue;
      const bool there =
          std::any_of(match_.modules.begin(), match_.modules.end(), [&](const ModuleMatch& m) {
            return (m.live == module.path || m.module->path() == module.path) &&
                   std::any_of(m.module->tensors().begin(), m.module->tensors().end(),
                               [](const auto& t) { return t.role == "modules_to_save"; });
          });
      if (!there) missing.push_back(module.path);
    }
    if (missing.empty()) return;
    out_.push_back(
        about(Severity::kError, "BS-27", missing.front(),
              "modules_to_save names " + list_of(missing) +
                  " of the base, and the file has no tensors of it: PEFT raises KeyError",
              "the file is incomplete"));
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
      out_.push_back(about(Severity::kNote, "BS-13", embeddings.front(),
                           "the file holds whole embeddings (" + std::to_string(embeddings.size()) +
                               "), which replace the base's own at load for every adapter"));
    }
  }

  // BS-14
  void find_packed() {
    if (base_.packing.empty()) return;
    std::uint64_t by_name = 0;
    for (const auto& match : match_.modules) {
      const auto packed = base_.packed.find(match.live);
      const bool sized =
          packed == base_.packed.end() || packed->second.shape || packed->second.elements;
      if (!sized) ++by_name;
    }
    out_.push_back(about(Severity::kNote, "BS-14", {},
                         "the base is quantized (" + base_.packing + ")" +
                             (by_name == 0 ? ": sizes were compared with its packed weights"
                                           : ": " + std::to_string(by_name) +
                                                 " modules were found by name, and their sizes "
                                                 "were not compared")));
  }

  // BS-15
  void compare_fingerprint() {
    for (const auto& [key, value] : adapter_.metadata()) {
      if (key != kBaseFingerprintKey || value == base_.fingerprint) continue;
      const bool quantised = !base_.packing.empty();
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
  const LiveConfig& live_;
  const model::BaseIndex& base_;
  const MatchResult& match_;
  const peft::TargetRule& targets_;
  /// Adapted live paths, and how many layers are on each (several on fused experts).
  std::map<std::string, std::size_t, std::less<>> levels_;
  bool converted_ = false;
  std::vector<Finding> out_;
};

}  // namespace

Result<std::vector<Finding>> compare_config(const Adapter& adapter, const LiveConfig& live,
                                            const model::BaseIndex& base, const MatchResult& match,
                                            const peft::TargetRule& targets) {
  return Comparison(adapter, live, base, match, targets).run();
}

}  // namespace ferrule::checks
