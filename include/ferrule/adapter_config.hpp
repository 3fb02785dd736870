// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/json.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// `target_modules` and its like: one regular expression that must match a whole path, or names
/// that match a path equal to them or ending in "." and them.
struct ModuleSelector {
  bool is_pattern = false;
  std::string pattern;             ///< If is_pattern.
  std::vector<std::string> names;  ///< If not. A set in PEFT: the order means nothing.
};

/// rank_pattern and its like: (pattern, value) in the order of the file. The first that matches
/// wins.
using PatternTable = std::vector<std::pair<std::string, double>>;

/// adapter_config.json as a value: the document in full (unknown keys survive) and typed readings
/// of what Ferrule acts on. Copyable. Const members may be called from any number of threads at
/// once while none calls set().
class FERRULE_API AdapterConfig {
 public:
  /// Reads the text of an adapter_config.json. Renamed types and fields are upgraded (BONE becomes
  /// MISS), fields the text leaves out take PEFT's defaults, `runtime_config` is dropped; what was
  /// done is listed in findings(). `path` is for messages only.
  /// Fails with kCorrupt (rules CF-*) or kLimitExceeded.
  static Result<AdapterConfig> parse(std::string_view json, const std::filesystem::path& path = {});

  /// Reads the fields of a config object that a running PEFT holds, which may be of another
  /// version: checked and read as parse() does, but to_json() gives these fields as they are
  /// (sets already in their order), with nothing added, renamed or dropped.
  static Result<AdapterConfig> parse_live(std::string_view json);

  /// Reads `path`, or `path/adapter_config.json` if `path` is a directory.
  static Result<AdapterConfig> open(const std::filesystem::path& path);

  /// A new config of that type with PEFT's defaults and these fields set.
  /// Fails with kInvalidArgument (unknown type or field, with a suggestion) or kCorrupt (CF-*).
  static Result<AdapterConfig> make(std::string_view peft_type,
                                    std::span<const Json::Member> fields = {});

  /// The exact type after upgrading, such as "LORA".
  const std::string& peft_type() const& noexcept;
  const std::string& peft_type() const&& = delete;

  /// Every field, in the order of the file; fields it left out follow in alphabetical order.
  const Json& document() const& noexcept;
  const Json& document() const&& = delete;

  /// The field, or nullptr if neither the file nor the type has it.
  const Json* find(std::string_view field) const& noexcept;
  const Json* find(std::string_view field) const&& = delete;

  /// Replaces or adds a field. Typed readings follow. Fails with kCorrupt if the type's own
  /// field cannot hold that value; the config is unchanged then.
  Result<void> set(std::string_view field, Json value);

  /// PEFT's own text of this config: every field, keys sorted, indent 2, no trailing newline;
  /// lists that PEFT keeps as sets are sorted.
  std::string to_json() const;

  /// What reading it turned up: upgrades (notes), unknown fields (warnings).
  const std::vector<Finding>& findings() const& noexcept;
  const std::vector<Finding>& findings() const&& = delete;

  // Typed readings. Each gives the field's value, or the type's default if absent.

  /// null, or one of PEFT's task types such as "CAUSAL_LM".
  std::optional<std::string> task_type() const;
  std::optional<std::string> base_model_name_or_path() const;
  bool is_prompt_learning() const noexcept;
  /// "none", "all", or a "..._only"; "none" for types without the field.
  std::string bias() const;
  std::optional<ModuleSelector> target_modules() const;
  std::optional<ModuleSelector> exclude_modules() const;
  std::vector<std::string> modules_to_save() const;
  std::vector<std::string> target_parameters() const;
  /// `r`, or the type's field for the same (`init_r` for ADALORA); nullopt if the
  /// type has none.
  std::optional<std::int64_t> rank() const;
  /// `lora_alpha`, `alpha` and the like; nullopt if the type has none.
  std::optional<double> alpha() const;
  bool use_rslora() const;
  bool use_dora() const;
  PatternTable rank_pattern() const;
  PatternTable alpha_pattern() const;
  bool has_trainable_token_indices() const;

  /// A bool field of that name; `fallback` if it is absent or not a bool.
  bool flag(std::string_view field, bool fallback = false) const noexcept;
  /// An integer or float field of that name.
  std::optional<double> number(std::string_view field) const noexcept;
  std::optional<std::int64_t> integer(std::string_view field) const noexcept;
  std::optional<std::string> text(std::string_view field) const;

 private:
  AdapterConfig() = default;
  Json document_;
  /// What to_json() gives if it is not `document_`.
  std::optional<Json> live_;
  std::string peft_type_;
  std::vector<Finding> findings_;
};

/// The factor and rank of one module's update, and the rule that decided them.
struct ModuleStrength {
  /// The factor on the update, exactly as PEFT's `scaling` of that layer; nullopt for types that
  /// have none or keep it in a tensor.
  std::optional<double> strength;
  std::optional<double> rank;
  std::optional<double> alpha;
  /// Which pattern or default won: "rank_pattern \"q_proj\", alpha default, alpha/sqrt(r)".
  std::string rule;
};

/// Resolves r, alpha, rsLoRA and the patterns for the module at `module_path` (the base model's own
/// path, without `base_model.model.`), as PEFT does at injection. Patterns are Python regular
/// expressions run with a step limit. Fails with kCorrupt or kLimitExceeded (CF-*) on a pattern
/// that is invalid or too slow.
FERRULE_API Result<ModuleStrength> resolve_strength(const AdapterConfig& config,
                                                    std::string_view module_path);

/// The value that a person's `field=text` means: JSON if the text is JSON of a kind that the
/// field takes ("16", "true", "[\"q_proj\"]", "null"), a list if the field takes one and the
/// text is "a,b,c", else a string. Fails with kInvalidArgument: an unknown type or field (with a
/// suggestion), a text that the field cannot take.
FERRULE_API Result<Json> parse_field_value(std::string_view peft_type, std::string_view field,
                                           std::string_view text);

/// Every PEFT type that Ferrule knows, sorted.
FERRULE_API std::span<const std::string_view> peft_types() noexcept;

}  // namespace ferrule
