// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace ferrule::peft {

/// Where a tensor is in a live PeftModel.
enum class Scope : std::uint8_t {
  kLayer,  ///< On a tuner layer: `base_model.model.PATH.ATTRIBUTE...`.
  kModel,  ///< On the tuner model itself: `base_model.ATTRIBUTE...`, shared by all layers.
};

/// Where the adapter's name is in a live key. It is never in a key on disk.
enum class NamePlace : std::uint8_t {
  kAfterAttribute,  ///< `ATTRIBUTE.NAME` or `ATTRIBUTE.NAME.LEAF`, on disk `ATTRIBUTE[.LEAF]`.
  kAtEnd,           ///< `ATTRIBUTE.LEAF.NAME`, on disk `ATTRIBUTE.LEAF` (FRoD's projections).
  kLiteralDefault,  ///< As kAfterAttribute, but on disk the literal `default` takes its place.
  kNone,            ///< No name in memory either.
};

/// Whether a live tensor goes into the file.
enum class Saved : std::uint8_t {
  kYes,
  kNo,      ///< Never (AdaLoRA's ranknum, layer-level copies of a shared projection).
  kIfFlag,  ///< Only where the config's field `Role::flag` is true.
};

/// One kind of tensor of a method.
struct Role {
  std::string_view attribute;
  /// What may follow on disk: comma-separated; "" is nothing, "#" a number, "*" any path.
  std::string_view leaves = "";
  Scope scope = Scope::kLayer;
  NamePlace place = NamePlace::kAfterAttribute;
  Saved saved = Saved::kYes;
  std::string_view flag = {};
  /// The same memory is part of every layer and holds every adapter's entry, so its presence does
  /// not show that an adapter adapts that layer.
  bool shared = false;
  /// A live leaf that disk keys leave out (`.weight` after lora_magnitude_vector).
  std::string_view dropped_leaf = {};
};

/// Where the rank is in the shape of a tensor: `attribute`'s dimension `axis` (negative counts
/// from the end) holds it.
struct RankAxis {
  std::string_view attribute;
  int axis;
};

/// Two tensors of one module that mean nothing without each other.
struct RolePair {
  std::string_view first;
  std::string_view second;
};

/// What a PEFT type keeps, and how it is spelled. Facts: PEFT 0.21.2, docs/rules/KY.md.
struct Method {
  std::string_view peft_type;
  /// Attributes of tuner layers start with it; empty for prompt learning.
  std::string_view prefix;
  std::span<const Role> roles;
  std::span<const RolePair> pairs;
  std::span<const RankAxis> ranks;
  bool prompt_learning = false;
};

/// The method of that exact type, or nullptr.
const Method* find_method(std::string_view peft_type) noexcept;

std::span<const Method> all_methods() noexcept;

/// The role of that attribute in that scope, or nullptr.
const Role* find_role(const Method& method, Scope scope, std::string_view attribute) noexcept;

/// True if `leaf` is one of `role.leaves`.
bool leaf_fits(const Role& role, std::string_view leaf) noexcept;

}  // namespace ferrule::peft
