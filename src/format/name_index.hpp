// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ferrule/tensor_view.hpp"

namespace ferrule::format {

/// Where a name is in a list of tensors. The names live in that list, which is handed in at
/// every call; the index holds positions only.
///
/// While names come in ascending order, as safetensors' own writer puts those of one dtype, the
/// list is its own index. From the first that does not on, it is an open hash table whose seed
/// differs from process to process. Should the names collide all the same (someone made them to),
/// it sorts: no input makes it quadratic.
class NameIndex {
 public:
  /// `collision_budget` is how many probes a name may cost on average before the index sorts.
  explicit NameIndex(std::uint64_t collision_budget = 24) noexcept;

  /// Announces how many names are coming. At most 2^31.
  void expect(std::size_t names) noexcept { expected_ = names; }

  /// Adds tensors.back() at its position. False if an earlier one has the same name.
  bool add_last(std::span<const NamedTensor> tensors);

  /// Ends a series of add_last(): false if names that went unchecked because of collisions
  /// contain a pair of equal ones, whose later position is then in `duplicate`.
  bool finish(std::span<const NamedTensor> tensors, std::size_t& duplicate);

  /// Builds the index for a whole list; false if it has a name twice.
  bool build(std::span<const NamedTensor> tensors, std::size_t& duplicate);

  std::optional<std::size_t> find(std::span<const NamedTensor> tensors,
                                  std::string_view name) const noexcept;

 private:
  enum class Order : std::uint8_t { kAscending, kHashed, kSorted };

  std::uint32_t hash(std::string_view name) const noexcept;
  std::size_t home(std::uint32_t key) const noexcept;
  void grow(std::size_t names);
  bool start_hashing(std::span<const NamedTensor> tensors);
  bool insert(std::span<const NamedTensor> tensors, std::size_t position);

  Order order_ = Order::kAscending;
  std::uint64_t seed_;
  std::uint64_t collision_budget_;
  std::uint64_t probes_ = 0;
  std::size_t expected_ = 0;
  std::size_t used_ = 0;
  /// hash << 32 | position + 1; zero is free. The length is a power of two.
  std::vector<std::uint64_t> slots_;
  std::vector<std::uint32_t> sorted_;
};

}  // namespace ferrule::format
