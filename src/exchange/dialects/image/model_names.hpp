// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/dialects/image/model_tables.hpp"

namespace ferrule::exchange {

/// The modules of diffusers that one module of a model's original code became.
struct FusedModule {
  /// In the order of the rows of the original's weight.
  std::vector<std::string> paths;
  /// How many rows each has, as ratios: {1, 1, 1, 4}.
  std::vector<std::uint64_t> ratio;
  Rows rows = Rows::kAsTheyAre;
  /// Of the pipeline, if it is not the transformer.
  std::string component = {};
  /// The original's name is another one.
  bool original = false;

  std::uint64_t total() const;
  /// True if halves of a weight of that size change places.
  bool swaps(std::uint64_t rows_of_weight, std::uint64_t columns) const;
  /// True if both are the same modules.
  bool same_as(const FusedModule& other) const;
};

/// A single module of that name.
FusedModule one_module(std::string path);

/// The model of that name or alias; null if there is none.
const ImageModel* image_model_called(std::string_view name);
/// By diffusers' class; null if there is none.
const ImageModel* image_model_of_class(std::string_view class_name);
/// By what trainers write into a header ("wan2.1/lora"); null if they mean none of them.
const ImageModel* image_model_in_header(std::string_view value);
/// All models, in the order in which they are asked.
const std::vector<const ImageModel*>& all_image_models();

/// What a name can mean in that model, the names of diffusers first. `flat` names have underscores
/// instead of dots. Empty if the model has no such module.
std::vector<FusedModule> modules_called(std::string_view name, const ImageModel& model, bool flat);

/// True if the number of rows and columns is that of the module in this model, where that tells
/// models apart; false if it does not say.
bool has_size_of(std::string_view name, const ImageModel& model, bool flat, std::uint64_t rows,
                 std::uint64_t columns);

/// A module of diffusers as a part of one of the original.
struct OriginalPart {
  std::string path;
  std::size_t part = 0;
  FusedModule whole;
};
std::optional<OriginalPart> to_original(std::string_view path, const ImageModel& model);

/// True if one of the models has a module of that path in diffusers.
bool is_transformer_path(std::string_view path);
/// The same for a path in a model's own code.
bool is_original_path(std::string_view path);

}  // namespace ferrule::exchange
