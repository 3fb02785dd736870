// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/base_model.hpp"
#include "ferrule/checkpoint.hpp"
#include "model/known_answers.hpp"
#include "model/module_layout.hpp"
#include "model/packed_weights.hpp"
#include "model/quantized_weights.hpp"
#include "model/transformers_names.hpp"

namespace ferrule {

namespace model {

/// A parameter of the live base model.
struct BaseTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
  /// False if a converter makes it whose effect on shapes is not followed.
  bool shape_known = true;
};

/// A path of the base by its end from the layer's container on ("layers.0.self_attn.q_proj"), so
/// that paths that differ in what comes before can be found.
std::string_view path_core(std::string_view path);

/// What the headers of a base say, ready to be asked.
struct BaseIndex {
  std::optional<Checkpoint> source;
  /// If it is seen as the model in 16 bits that its quantized weights stand for: the tensors of
  /// that.
  std::unique_ptr<const DequantizedNames> plain;
  Json config;
  std::string class_name;
  std::string fingerprint;
  TransformersNames names;

  /// Sorted by live name.
  std::vector<BaseTensor> tensors;
  /// Names on disk that are not live, sorted.
  std::vector<std::string> disk_only;
  /// Paths of modules that own a tensor, sorted.
  std::vector<std::string> modules;
  /// Every module of the live model and what it is, sorted by path, if the class is known.
  std::vector<model::LiveModule> live;
  /// The same, and every path that leads to a parameter (of unknown kind if only that is known).
  std::vector<model::LiveModule> all_modules;
  /// (core, index into `modules`), sorted.
  std::vector<std::pair<std::string, std::size_t>> cores;
  /// (live parameter, the one that holds its memory), sorted.
  std::vector<std::pair<std::string, std::string>> tied;
  /// Modules whose weights are packed, by live path.
  std::map<std::string, model::PackedWeight, std::less<>> packed;
  /// How ("GPTQ"); empty if the base is not quantized.
  std::string packing;
  /// Adapters that differ in their values only are checked once.
  std::unique_ptr<KnownAnswers> answers = std::make_unique<KnownAnswers>();

  /// What the names are taken from.
  const TensorSource& listed() const noexcept {
    return plain ? static_cast<const TensorSource&>(*plain) : *source;
  }
  /// The tensor of that live name, tied ones included, or nullptr.
  const BaseTensor* find(std::string_view name) const noexcept;
  /// The tensors that the module owns itself, or that lie below it.
  std::span<const BaseTensor> below(std::string_view module) const noexcept;
  bool has_module(std::string_view path) const noexcept;
  /// What the module is; letter '?' if the class does not tell.
  model::ModuleKind kind_of(std::string_view path) const noexcept;
  bool is_packed(std::string_view path) const noexcept { return packed.contains(path); }
  bool was_on_disk(std::string_view name) const noexcept;
  /// An integer of the config, or of its text_config.
  std::optional<std::int64_t> config_integer(std::string_view field) const;
};

}  // namespace model

/// The way into BaseModel for the library itself.
struct BaseModelAccess {
  static const model::BaseIndex& index(const BaseModel& base) noexcept { return *base.index_; }
  /// The base as the model in 16 bits that it becomes when its quantized weights are dequantized.
  static Result<BaseModel> open_dequantized(const std::filesystem::path& path,
                                            const OpenOptions& options);
};

}  // namespace ferrule
