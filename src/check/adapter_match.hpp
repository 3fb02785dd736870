// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "check/method_shapes.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/base_model.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"
#include "model/base_model.hpp"
#include "peft/targets.hpp"

namespace ferrule::checks {

struct LiveConfig;

/// How a module of an adapter relates to the base.
enum class Standing : std::uint8_t {
  kMatched,    ///< Under its own name, every shape right.
  kConverted,  ///< Under another name that PEFT makes of it at load.
  kNewHead,    ///< Not in the base, and not to be: the task's class makes it.
  kMisshapen,  ///< There, with another shape.
  kAbsent,     ///< Not in the base.
  kSaid,       ///< PEFT would not load it; a finding in the result says why.
  kMisspelt,   ///< The keys themselves are spelt so that nothing finds them; AD rules say how.
};

struct ModuleMatch {
  const AdapterModule* module = nullptr;
  Standing standing = Standing::kAbsent;
  /// The path in the live base; the module's own without `.base_layer` where it is absent.
  std::string live;
};

struct MatchResult {
  std::vector<ModuleMatch> modules;
  /// What is wrong with shapes and what was converted; the absent ones have no finding yet.
  std::vector<Finding> findings;
  std::uint64_t matched = 0;
};

/// Without a class, names that are nn.Embedding in every model that has them.
bool looks_like_embedding(std::string_view name) noexcept;

/// A path without its `.base_layer` components.
std::string without_base_layer(std::string_view path);

/// "BertForSequenceClassification" where the adapter's config says what class it was trained on.
std::string adapter_class(const AdapterConfig& config);

/// A finding about a module.
Finding about(Severity severity, std::string_view code, std::string_view module,
              std::string message, std::string advice = {});

/// Looks every module of the adapter up in the base. `live` is the config on the model, `targets`
/// made of it.
Result<MatchResult> match_modules(const Adapter& adapter, const LiveConfig& live,
                                  const model::BaseIndex& base, const peft::TargetRule& targets);

/// The layer at that live path, or nullopt where the base has no weight there.
std::optional<BaseLayer> layer_at(const model::BaseIndex& base, std::string_view path,
                                  const AdapterModule& module);

}  // namespace ferrule::checks
