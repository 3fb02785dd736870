// SPDX-License-Identifier: Apache-2.0
#include "check/engines.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::checks {
namespace {

using enum EngineFeature;

constexpr std::size_t kMaxVersionParts = 8;

/// Whose facts are taken if the table has none of its own.
std::optional<EngineFeature> broader(EngineFeature feature) noexcept {
  if (feature == kSavedHead) return kModulesToSave;
  if (feature == kLoraGa) return kMutatedBase;
  return std::nullopt;
}

/// Below 0, 0 or above 0.
int compare(const EngineVersion& a, const EngineVersion& b) noexcept {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const auto left = i < a.size() ? a[i] : 0;
    const auto right = i < b.size() ? b[i] : 0;
    if (left != right) return left < right ? -1 : 1;
  }
  return 0;
}

}  // namespace

std::optional<EngineVersion> parse_version(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (!text.empty() && is_letter(text.front())) text.remove_prefix(1);
  EngineVersion version;
  while (!text.empty() && version.size() < kMaxVersionParts) {
    std::uint32_t number = 0;
    std::size_t digits = 0;
    for (; digits < text.size() && is_digit(text[digits]); ++digits) {
      if (digits == 9) return std::nullopt;
      number = number * 10 + static_cast<std::uint32_t>(text[digits] - '0');
    }
    if (digits == 0) return std::nullopt;
    version.push_back(number);
    text.remove_prefix(digits);
    if (text.empty()) return version;
    if (text.front() != '.') return std::nullopt;
    text.remove_prefix(1);
  }
  return std::nullopt;
}

EngineAt::EngineAt(const Engine& engine, std::string version)
    : engine_(&engine),
      asked_(std::move(version)),
      version_(parse_version(asked_.empty() ? engine.version : asked_).value_or(EngineVersion())) {}

std::string EngineAt::title() const {
  const bool newest = asked_.empty() || asked_ == engine_->version;
  return engine_->title + " " +
         (newest ? engine_->version + " (" + engine_->date + ")" : printable(asked_, 40));
}

bool EngineAt::is_beyond_table() const {
  const auto newest = parse_version(engine_->version);
  return !asked_.empty() && newest && compare(version_, *newest) > 0;
}

const EngineFact* EngineAt::find(EngineFeature feature) const noexcept {
  for (const auto& fact : engine_->facts) {
    if (fact.feature != feature) continue;
    // A revision is not a number: it is the newest.
    const bool early = !version_.empty() && compare(version_, fact.since) < 0;
    const bool late =
        !fact.until.empty() && (version_.empty() || compare(version_, fact.until) >= 0);
    if (!early && !late) return &fact;
  }
  return nullptr;
}

EngineFact EngineAt::fact(EngineFeature feature) const {
  const auto* found = find(feature);
  if (const auto other = broader(feature); found == nullptr && other) found = find(*other);
  return found != nullptr ? *found : EngineFact{.feature = feature};
}

Result<EngineAt> Engines::find(std::string_view word) const {
  const auto at = word.find('@');
  const auto id = word.substr(0, at);
  const auto found = std::find_if(engines_.begin(), engines_.end(),
                                  [&](const Engine& engine) { return engine.id == id; });
  if (found == engines_.end()) {
    std::string known;
    for (const auto& engine : engines_) known += (known.empty() ? "" : ", ") + engine.id;
    return base::invalid("no engine is called " + quote(id) + "; known are " + known);
  }
  if (at == std::string_view::npos) return EngineAt(*found, {});
  const auto version = word.substr(at + 1);
  if (version != found->version && !parse_version(version)) {
    return base::invalid("expected a version after " + found->id + "@, such as 0.31, found " +
                         quote(version));
  }
  return EngineAt(*found, std::string(version));
}

std::string_view feature_name(EngineFeature feature) noexcept {
  constexpr std::array<std::string_view, 26> kNames = {
      "a type other than LORA",
      "use_rslora",
      "rank_pattern",
      "alpha_pattern",
      "lora_alpha 0",
      "use_dora",
      "lora_bias",
      "bias",
      "modules_to_save",
      "a classifier in modules_to_save",
      "a whole embedding, which PEFT saves next to LoRA on the output layer,",
      "LoRA on an embedding",
      "trainable_token_indices",
      "tokens that the base does not have",
      "target_parameters",
      "init_lora_weights that changes the base",
      "init_lora_weights \"lora_ga\", which changes the base,",
      "alora_invocation_tokens",
      "layer_replication",
      "use_bdlora",
      "use_qalora",
      "adapter_model.bin",
      "paths below a wrapper",
      "lora_alpha",
      "a directory as PEFT writes it",
      "tensors besides lora_A and lora_B",
  };
  static_assert(kNames.size() == static_cast<std::size_t>(kOtherTensors) + 1);
  return kNames[static_cast<std::size_t>(feature)];
}

}  // namespace ferrule::checks
