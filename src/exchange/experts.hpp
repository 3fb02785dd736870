// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/base_facts.hpp"
#include "exchange/ledger.hpp"
#include "exchange/middle.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// What a site is among experts: "model.layers.0.mlp.experts", 3, "gate".
struct ExpertPlace {
  std::string experts;
  std::uint64_t index = 0;
  /// "gate", "up" or "down", whatever the model calls it.
  std::string_view part;
};

/// nullopt if the path is not of one expert. Reads "...experts.3.gate_proj" and "...experts.3.w1".
std::optional<ExpertPlace> expert_place(std::string_view path);

/// The one spelling in a Middle: "...mlp.experts.3.gate_proj", "...mlp.gate" for the router; other
/// paths stay.
std::string canonical_path(std::string_view path);
/// As transformers 4 calls it in a model of that type: mixtral's "block_sparse_moe.experts.3.w1".
std::string old_path(std::string_view path, std::string_view model_type);

/// True if PEFT adapts a module of transformers 5 by its weight (target_parameters): a router that
/// is not a linear layer, or a projection that PEFT would take for one of the experts'.
bool is_peft_parameter(std::string_view path, std::string_view model_type);

/// How many experts a layer has, by the base's config; 0 if it does not say.
std::uint64_t expert_count(const BaseFacts& base);

/// The experts of one layer and one part, by index. All have factors of one shape.
struct ExpertGroup {
  std::string experts;
  std::string_view part;
  std::vector<Site> sites;
  /// A key in the source, for messages.
  std::string key;
};

/// Takes the sites of experts out of `sites`. `count` is how many a layer has (0: as many as the
/// highest index of that layer says). Experts without an adapter become zeros, and smaller ranks
/// are padded with zeros; all take the scale of the first (the rest is folded into B). Fails with
/// kUnsupported (EX-12): magnitudes or biases on experts, shapes that differ, an index beyond the
/// count.
Result<std::vector<ExpertGroup>> take_experts(std::vector<Site>& sites, std::uint64_t count,
                                              Ledger& ledger);

/// One layer of PEFT on a fused parameter (target_parameters).
struct FusedLayer {
  /// "...mlp.experts", or "...mlp.experts.base_layer" for the inner one.
  std::string module;
  /// "...mlp.experts.gate_up_proj".
  std::string parameter;
  std::uint64_t rank = 0;
  double scale = 1;
  std::optional<double> alpha = {};
  Values a;  ///< [experts * rank, in], expert after expert
  Values b;  ///< [out, rank * experts], rank after rank
  std::string key;
};

/// Takes the sites of experts out of `sites` and joins them: gate and up become one layer, whose
/// rank is the sum of both unless they share A.
Result<std::vector<FusedLayer>> fuse_experts(std::vector<Site>& sites, const BaseFacts& base,
                                             Ledger& ledger);

/// A layer on a parameter as sites, appended to `out`: those of its experts, or the module itself
/// if the parameter is a plain matrix ("...mlp.gate.weight"). `parameter` is the path that PEFT
/// looks its rank up under, `rank` what the config says.
Result<void> split_parameter(const Site& fused, const std::string& parameter, double rank,
                             const BaseFacts& base, Middle& out);

}  // namespace ferrule::exchange
