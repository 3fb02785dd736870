// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/result.hpp"
#include "regex/pattern.hpp"

namespace ferrule::model {

/// What transformers knows of one class of models (tools/make_transformers_names.py). Lists are
/// in one text, with '|' between entries.
struct ModelClass {
  std::string_view name;
  std::string_view type;
  std::string_view prefix;   ///< base_model_prefix: where a ForX class keeps its model.
  std::string_view parts;    ///< "path:class:type:config key" of models within the model.
  std::string_view tied;     ///< "parameter=parameter that holds its memory".
  std::string_view ignored;  ///< Expressions for names in a checkpoint that are passed over; tabs.
  std::string_view ties;     ///< "ties" if the config's default ties word embeddings.
  std::string_view head;     ///< The path of the output embeddings, or "".
  std::int64_t layout = -1;  ///< Its tree of modules (module_layout.hpp); -1 if it was not built.
};

/// A model within the model, as get_model_conversion_mapping meets it.
struct ModelPart {
  std::string path;
  std::string_view class_name;
  std::string_view type;
  /// The config makes another class of it than the outer class's default config.
  bool replaced = false;
};

/// The model itself (path "") and the models within it.
std::vector<ModelPart> parts_of(const ModelClass& row, const Json& config);

/// Families whose configs PEFT converts for fused experts.
enum class ExpertFamily : std::uint8_t { kNone, kMixtral, kQwen2Moe };

/// How one checkpoint's names become those of the live model: a sequence of transformers' own
/// renamings and converters, as its from_pretrained applies them.
class TransformersNames {
 public:
  /// What `config` (a model's config.json) and, where given, the class of the live model call for.
  /// Without a model_type nothing is renamed. Fails with kCorrupt where a rule cannot be compiled.
  static Result<TransformersNames> make(const Json& config, std::string_view class_name);

  /// nullptr where the class is not known.
  const ModelClass* model_class() const noexcept { return class_; }

  struct Converter {
    std::vector<std::string_view> targets;
    std::size_t sources = 1;
    std::string_view operations;
  };
  struct Renamed {
    std::string name;
    /// The converter that took the tensor, and which of its sources it is; or nullptr.
    const Converter* converter = nullptr;
    std::size_t source = 0;
  };
  /// The live name of the tensor that is called `name` on disk.
  Result<Renamed> rename(std::string_view name) const;

  /// What PEFT makes of the key of a LoRA's tensor at load: `path.lora_A.weight` or the like,
  /// without `base_model.model.`. Renamings that only take a prefix off are undone, as PEFT does.
  /// A converter is one that puts experts together. Only meaningful if renames_adapters().
  Result<Renamed> rename_adapter_key(std::string_view key) const;

  /// PEFT's gate: it renames only if transformers has conversions for the model's own model_type.
  bool renames_adapters() const noexcept { return renames_adapters_; }

  ExpertFamily expert_family() const noexcept { return family_; }
  bool converts_experts() const noexcept { return family_ != ExpertFamily::kNone; }

  bool empty() const noexcept { return rules_.empty(); }

 private:
  struct Branch {
    std::size_t group;
    std::size_t source;
    std::string_view literal;
  };
  enum class RuleKind : std::uint8_t { kRename, kGroup, kLayerPairs, kConvert, kAdapter };
  struct Rule {
    RuleKind kind = RuleKind::kRename;
    regex::Pattern pattern;
    std::vector<Branch> branches;
    Converter converter;
    std::optional<std::int64_t> offset;
    std::optional<std::string> scope;
    std::string prefix;
  };

  static RuleKind kind_of(std::string_view letter) noexcept;
  Result<void> add_rules(std::string_view identifier, std::optional<std::string> scope,
                         std::string_view prefix);
  static Result<std::optional<std::size_t>> apply(const Rule& rule, std::string& name);
  Result<void> apply_renamings(std::string& name) const;
  Result<void> apply_converters(RuleKind kind, Renamed& out) const;

  const ModelClass* class_ = nullptr;
  std::vector<Rule> rules_;
  bool renames_adapters_ = false;
  ExpertFamily family_ = ExpertFamily::kNone;
};

/// The release of transformers that the table was made from: "5.24.0".
std::string_view transformers_version() noexcept;

/// The class of that name, or nullptr.
const ModelClass* find_model_class(std::string_view name) noexcept;

/// True for a model without a head: the class that AutoModel makes.
bool is_plain_model(const ModelClass& row) noexcept;

/// The entries of a list in one text.
std::vector<std::string_view> entries(std::string_view list, char separator = '|');

}  // namespace ferrule::model
