// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "container/tensor_plan.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/model_facts.hpp"
#include "ferrule/result.hpp"
#include "ferrule/selection.hpp"
#include "peft/method.hpp"
#include "peft/state_layout.hpp"

namespace ferrule::peft {

/// What to select from, besides the state itself.
struct SelectionContext {
  const StateLayout& layout;
  /// Every configured adapter, saved or not.
  std::span<const NamedConfig> configs;
  const ModelFacts& facts;
  const Json& base_config;
  SaveEmbeddings embeddings = SaveEmbeddings::kAuto;
};

/// An adapter taken out of a state dict: disk keys and where their bytes are.
struct Selection {
  container::TensorPlan tensors;
  /// The config with what selection itself changes (AdaLoRA's rank_pattern).
  AdapterConfig config;
  std::vector<Finding> findings;
  std::vector<LeftOut> left_out;
};

/// Selects the tensors that PEFT's get_peft_model_state_dict returns for that adapter, by structure
/// and exact names; where PEFT loses or mixes tensors, what is right (docs/differences.md).
/// Fails with kCorrupt (KY-*) if the state cannot give what the config demands.
Result<Selection> select_adapter(const SelectionContext& context, const NamedConfig& adapter);

/// The same out of a state that is a saved adapter already (KY-11), which holds that adapter alone;
/// nullopt if it is a live model's.
std::optional<Selection> select_saved(const SelectionContext& context, const NamedConfig& adapter);

/// Tensors of a state that lie outside of the model that PEFT wraps: value heads and the like.
std::vector<LeftOut> trained_beside(const StateLayout& layout);

/// Puts together one adapter's plan; the rules below add to it.
class SelectionBuilder {
 public:
  SelectionBuilder(const SelectionContext& context, const NamedConfig& adapter,
                   const Method& method);

  const SelectionContext& context() const noexcept { return context_; }
  const NamedConfig& adapter() const noexcept { return adapter_; }
  const Method& method() const noexcept { return method_; }

  /// Live paths of the layers that this adapter adapts.
  const std::set<std::string, std::less<>>& adapted() const noexcept { return adapted_; }

  /// The disk key of a tensor of the base model that is saved with the adapter (a bias, an
  /// embedding): `base_layer` stays where this adapter adapts the module and goes where only
  /// others do, so that it loads into a model with this adapter alone.
  std::string base_key(std::string_view live_key) const;

  void add(std::string_view key, const TensorView& view);
  void add(TensorStream tensor);
  bool has(std::string_view key) const { return keys_.contains(key); }
  void add_finding(Severity severity, std::string_view rule, std::string_view key,
                   std::string message, std::string advice = {});
  Selection& selection() noexcept { return selection_; }
  Selection take();

 private:
  void find_adapted_layers();

  const SelectionContext& context_;
  const NamedConfig& adapter_;
  const Method& method_;
  std::set<std::string, std::less<>> adapted_;
  std::set<std::string, std::less<>> keys_;
  Selection selection_;
};

/// The tensors of the method itself: layers', then the model's.
Result<void> select_method_tensors(SelectionBuilder& builder);
/// `bias` = "all" or "..._only".
void select_biases(SelectionBuilder& builder);
/// modules_to_save and trainable tokens of methods other than TRAINABLE_TOKENS.
Result<void> select_auxiliary(SelectionBuilder& builder);
/// save_embedding_layers.
Result<void> select_embeddings(SelectionBuilder& builder);
/// Prompt learning: the prompt as PEFT computes it at save.
Result<void> select_prompt(SelectionBuilder& builder);

}  // namespace ferrule::peft
