// SPDX-License-Identifier: Apache-2.0
#include "adapter/optional_tensors.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "base/shape_text.hpp"
#include "ferrule/text.hpp"

namespace ferrule::adapter {
namespace {

using peft::KeyKind;

/// A field of the config, and the tensor that adapted layers have if the field is `on`.
struct Switch {
  std::string_view peft_type;
  std::string_view field;
  bool on;
  std::string_view role;
  std::string_view leaf;  ///< Empty for any.
  /// Only layers with this tensor are concerned; empty for all of them.
  std::string_view beside;
};

// What PEFT 0.21.2 makes by a field of the config. tests/check/optional_tensors.py walks its
// types.
constexpr Switch kSwitches[] = {
    {"LORA", "use_dora", true, "lora_magnitude_vector", "", ""},
    {"LORA", "lora_bias", true, "lora_B", "bias", "lora_B"},
    {"GRALORA", "hybrid_r", true, "gralora_A_general", "", "gralora_A"},
    {"DEFT", "para", false, "deft_R", "", "deft_P"},
    {"PSOFT", "psoft_mag_a", true, "psoft_R", "vector_a", "psoft_R"},
    {"PSOFT", "psoft_mag_b", true, "psoft_R", "vector_b", "psoft_R"},
};

/// GLORA's parts, each with the field that says what it is.
struct Part {
  std::string_view role;
  std::string_view field;
};

constexpr Part kGloraParts[] = {{"glora_A", "config_A_B"},
                                {"glora_B", "config_A_B"},
                                {"glora_C", "config_C"},
                                {"glora_D", "config_D_E"},
                                {"glora_E", "config_D_E"}};

Finding disagreement(std::string_view key, std::string message) {
  return {.severity = Severity::kError,
          .rule = "AD-24",
          .path = {},
          .key = std::string(key),
          .message = std::move(message),
          .advice = "the config belongs to another adapter, or was edited"};
}

bool is_on(const AdapterConfig& config, std::string_view field) {
  const auto number = config.number(field);
  return config.flag(field) || (number && *number != 0);
}

std::string count_of(std::size_t count) {
  return count == 1 ? "1 module has" : std::to_string(count) + " modules have";
}

const AdapterTensor* find(const AdapterModule& module, std::string_view role,
                          std::string_view leaf) {
  for (const auto& tensor : module.tensors()) {
    if (tensor.role == role && (leaf.empty() || tensor.leaf == leaf)) return &tensor;
  }
  return nullptr;
}

class Judge {
 public:
  Judge(const AdapterConfig& config, const Examination& examination)
      : config_(config), examination_(examination) {
    for (const auto& key : examination.keys) {
      if (key.kind == KeyKind::kMethod && key.scope == peft::Scope::kLayer) {
        adapted_.emplace_back(peft::base_path(key.module));
      }
    }
    std::sort(adapted_.begin(), adapted_.end());
  }

  void compare(const Switch& row) {
    const bool wanted = is_on(config_, row.field) == row.on;
    std::vector<std::string_view> with;
    std::vector<std::string_view> without;
    for (const auto& module : examination_.modules) {
      if (!std::binary_search(adapted_.begin(), adapted_.end(), module.path())) continue;
      if (find(module, row.role, row.leaf) != nullptr) {
        with.push_back(module.path());
      } else if (row.beside.empty() || find(module, row.beside, {}) != nullptr) {
        without.push_back(module.path());
      }
    }
    const auto what = std::string(row.role) + (row.leaf.empty() ? "" : "." + std::string(row.leaf));
    if (wanted && !without.empty()) {
      say(without.front(), state(row.field) + count_of(without.size()) + " no " + what +
                               ": PEFT makes it and leaves it at its start");
    } else if (!wanted && !with.empty()) {
      say(with.front(), state(row.field) + count_of(with.size()) + " " + what + ": PEFT drops it");
    }
  }

  /// A tensor that PEFT saves only with that flag, in each layer or once.
  void compare_saved(const peft::Role& role) {
    const AdapterTensor* there = nullptr;
    for (const auto& tensor : examination_.tensors) {
      if (tensor.role == role.attribute) there = &tensor;
    }
    const bool wanted = config_.flag(role.flag);
    if (!wanted && there != nullptr) {
      say(there->key, state(role.flag) + "the file has " + std::string(role.attribute) +
                          ": PEFT drops it and makes its own");
    } else if (wanted && there == nullptr && is_replaced(role)) {
      say(role.attribute, state(role.flag) + "the file has no " + std::string(role.attribute) +
                              ": PEFT makes another and says nothing");
    }
  }

  void compare_glora(const Part& part) {
    const auto kind = config_.text(part.field).value_or("");
    const bool factors = kind == "lora";
    const std::string_view leaf = kind == "none" ? "zeros" : "X";
    // C, D and E act on a bias: layers without one have zeros, whatever the config says.
    const bool of_bias = part.role != "glora_A" && part.role != "glora_B";
    if (!factors && kind != "none" && kind != "vector" && kind != "constant") return;
    for (const auto& module : examination_.modules) {
      for (const auto& tensor : module.tensors()) {
        if (tensor.role != part.role || (of_bias && tensor.leaf == "zeros")) continue;
        const auto shape = tensor.tensor.shape();
        const bool single = shape.size() == 1 && shape[0] == 1;
        // D and E are of one dimension, and of one element on a layer with one output.
        const bool column = shape.size() == 2 || part.field == "config_D_E";
        const bool shaped = kind == "constant" ? single : kind != "vector" || column;
        const bool fits =
            factors ? tensor.leaf == "Xd" || tensor.leaf == "Xu" : tensor.leaf == leaf && shaped;
        if (fits) continue;
        say(tensor.key, std::string(part.field) + " is " + quote(kind) + ", and the file has " +
                            std::string(part.role) + "." + std::string(tensor.leaf) +
                            (tensor.leaf == leaf ? " of another shape: PEFT cannot load it"
                                                 : ": PEFT drops it and makes another"));
        return;
      }
    }
  }

  /// PSOFT's rotation: the angles of an orthogonal one, or a whole matrix.
  void compare_rotation() {
    const std::size_t wanted = config_.flag("psoft_orth") ? 1 : 2;
    for (const auto& tensor : examination_.tensors) {
      if (tensor.role != "psoft_R" || tensor.leaf != "weight") continue;
      if (tensor.tensor.shape().size() == wanted) continue;
      say(tensor.key, state("psoft_orth") + "the file has a psoft_R.weight of shape " +
                          base::shape_text(tensor.tensor.shape()) + ": PEFT cannot load it");
      return;
    }
  }

  /// SHADOW's copy of the embeddings, which is saved only if it is not the base's own.
  void compare_shadow() {
    const AdapterTensor* own = nullptr;
    bool any = false;
    for (const auto& tensor : examination_.tensors) {
      if (tensor.role != "shadow_backbone") continue;
      any = true;
      if (tensor.key.ends_with("embed_tokens.weight") || tensor.key.ends_with("wte.weight")) {
        own = &tensor;
      }
    }
    const bool shared = config_.flag("share_embeddings");
    if (shared && own != nullptr) {
      say(own->key, state("share_embeddings") +
                        "the file has embeddings of its own: PEFT drops "
                        "them");
    } else if (!shared && any && own == nullptr) {
      say("base_model.shadow_backbone",
          state("share_embeddings") + "the file has no embeddings: PEFT leaves new ones untrained");
    }
  }

  std::vector<Finding> take() { return std::move(out_); }

 private:
  std::string state(std::string_view field) const {
    return std::string(field) + (is_on(config_, field) ? " is on, and " : " is off, and ");
  }

  /// Types for which PEFT raises instead (AD-12).
  bool is_replaced(const peft::Role& role) const {
    return config_.peft_type() != "VERA" && config_.peft_type() != "PVERA" &&
           config_.peft_type() != "FROD" && !role.attribute.ends_with("_B");
  }

  void say(std::string_view key, std::string message) {
    out_.push_back(disagreement(key, std::move(message)));
    if (std::binary_search(adapted_.begin(), adapted_.end(), key)) out_.back().module = key;
  }

  const AdapterConfig& config_;
  const Examination& examination_;
  std::vector<std::string_view> adapted_;  ///< Sorted.
  std::vector<Finding> out_;
};

}  // namespace

std::vector<Finding> judge_optional_tensors(const AdapterConfig& config, const peft::Method& method,
                                            const Examination& examination) {
  Judge judge(config, examination);
  for (const auto& row : kSwitches) {
    if (row.peft_type == config.peft_type()) judge.compare(row);
  }
  for (const auto& role : method.roles) {
    if (role.saved == peft::Saved::kIfFlag) judge.compare_saved(role);
  }
  if (config.peft_type() == "GLORA") {
    for (const auto& part : kGloraParts) judge.compare_glora(part);
  }
  if (config.peft_type() == "SHADOW") judge.compare_shadow();
  if (config.peft_type() == "PSOFT") judge.compare_rotation();
  if (config.peft_type() == "RANDLORA") {
    judge.compare_saved({.attribute = "randlora_A", .flag = "save_projection"});
  }
  // The full logits stand for the kept shares, but not the other way round.
  if (config.peft_type() == "VBLORA" && !config.flag("save_only_topk_weights")) {
    judge.compare(
        {"VBLORA", "save_only_topk_weights", true, "vblora_logits_A_topk_weights", "", ""});
  }
  return judge.take();
}

}  // namespace ferrule::adapter
