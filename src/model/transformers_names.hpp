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

/// What transformers knows of one class of models (tools/make_transformers_names.py). Lists stand
/// in one text, with '|' between entries.
struct ModelClass {
  std::string_view name;
  std::string_view type;
  std::string_view prefix;   ///< base_model_prefix: where a ForX class keeps its model.
  std::string_view parts;    ///< "path:class:type:config key" of models within the model.
  std::string_view tied;     ///< "parameter=parameter that holds its memory".
  std::string_view ignored;  ///< Expressions for names in a checkpoint that are passed over; tabs.
  std::string_view conv1d;   ///< Names of modules that hold their weight transposed.
  std::string_view embeddings;  ///< Names of modules that are embeddings.
  std::string_view transposed;  ///< Names of fused experts that hold [experts, in, out].
  std::string_view ties;        ///< "ties" where the config's default ties word embeddings.
};

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

  /// True for the families whose configs PEFT converts for fused experts (mixtral, qwen2_moe).
  bool converts_experts() const noexcept { return converts_experts_; }

  bool empty() const noexcept { return rules_.empty(); }

 private:
  struct Branch {
    std::size_t group;
    std::size_t source;
    std::string_view literal;
  };
  struct Rule {
    regex::Pattern pattern;
    std::vector<Branch> branches;
    Converter converter;
    bool converts = false;
    bool grouped = false;  ///< Each source has a target of its own.
    std::optional<std::int64_t> offset;
    std::optional<std::string> scope;
    std::string prefix;
  };

  Result<void> add_rules(std::string_view identifier, std::optional<std::string> scope,
                         std::string_view prefix);
  static Result<std::optional<std::size_t>> apply(const Rule& rule, std::string& name);

  const ModelClass* class_ = nullptr;
  std::vector<Rule> rules_;
  bool converts_experts_ = false;
};

/// The class of that name, or nullptr.
const ModelClass* find_model_class(std::string_view name) noexcept;

/// True for a model without a head: the class that AutoModel makes.
bool is_plain_model(const ModelClass& row) noexcept;

/// The entries of a list in one text.
std::vector<std::string_view> entries(std::string_view list, char separator = '|');

}  // namespace ferrule::model
