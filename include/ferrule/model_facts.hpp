// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/export.hpp"
#include "ferrule/json.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// What a live model knows and a state dict does not. Every part is optional: without it Ferrule
/// infers what names allow, and reports it. Paths are the base model's own, without
/// `base_model.model.`.
struct FERRULE_API ModelFacts {
  /// Reads the JSON form (docs/model-facts.md). Unknown keys are ignored; wrong types are kCorrupt
  /// with rule CF-30.
  static Result<ModelFacts> parse(std::string_view json);

  /// The base model's class and the module it is defined in: `auto_mapping` of the config.
  std::optional<std::string> class_name;
  std::optional<std::string> module;
  /// The base model's `name_or_path`. An empty string is a value.
  std::optional<std::string> name_or_path;
  std::vector<std::string> model_tags;
  std::optional<std::string> input_embeddings;
  std::optional<std::string> output_embeddings;
  /// Whether the base model is a transformers PreTrainedModel.
  std::optional<bool> is_transformers;
  std::optional<std::string> model_type;
  /// Module path -> class name, for every module.
  std::map<std::string, std::string, std::less<>> modules;
  /// Class name -> the torch.nn class it derives from.
  std::map<std::string, std::string, std::less<>> class_bases;
  /// Tied parameter -> the parameter that holds its memory.
  std::map<std::string, std::string, std::less<>> tied;
  /// The base model's config, or null.
  Json config;
  /// Every tuner layer and wrapper of a token adapter. If known, no other module's tensors are
  /// taken for an adapter's, whatever they are called.
  std::optional<std::vector<std::string>> tuner_layers;
  /// Adapter's name -> path of a tuner layer -> the factor that it applies to that adapter's update
  /// now (`scaling`). A save writes a config that gives these.
  std::map<std::string, std::map<std::string, double, std::less<>>, std::less<>> scalings;
  /// The version of PEFT that made the adapter, for the card.
  std::optional<std::string> peft_version;
};

}  // namespace ferrule
