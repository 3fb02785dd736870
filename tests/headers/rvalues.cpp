// SPDX-License-Identifier: Apache-2.0
// The same in concepts: generic code can ask, and is refused.
#include <type_traits>
#include <utility>

#include "ferrule/ferrule.hpp"

namespace {

template <typename T>
concept HasTensors = requires(T&& t) {
  std::forward<T>(t).tensors();
};
template <typename T>
concept HasPath = requires(T&& t) {
  std::forward<T>(t).path();
};
template <typename T>
concept HasArrow = requires(T&& t) {
  std::forward<T>(t).operator->();
};

static_assert(HasTensors<const ferrule::Adapter&> && !HasTensors<ferrule::Adapter>);
static_assert(HasTensors<const ferrule::Checkpoint&> && !HasTensors<ferrule::Checkpoint>);
static_assert(HasTensors<const ferrule::StateDict&> && !HasTensors<const ferrule::StateDict>);
static_assert(HasPath<const ferrule::SafetensorsFile&> && !HasPath<ferrule::SafetensorsFile>);
static_assert(HasPath<const ferrule::AdapterModule&> && !HasPath<ferrule::AdapterModule>);
static_assert(HasArrow<ferrule::Result<ferrule::Json>&> &&
              !HasArrow<ferrule::Result<ferrule::Json>>);
static_assert(std::is_same_v<decltype(std::declval<ferrule::Result<ferrule::Json>>().value()),
                             ferrule::Json>);
static_assert(
    std::is_same_v<decltype(std::declval<ferrule::Result<void>>().error()), ferrule::Error>);

// No way to make a view whose size does not fit, and no silent bool.
static_assert(!std::is_constructible_v<ferrule::TensorView, ferrule::Dtype,
                                       std::span<const std::uint64_t>, std::span<const std::byte>>);
static_assert(!std::is_constructible_v<ferrule::Json, const void*>);

}  // namespace
