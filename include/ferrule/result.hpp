// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "ferrule/error.hpp"
#include "ferrule/export.hpp"

namespace ferrule {

/// Ends a read of the wrong side of a Result: throws std::logic_error, or terminates when the
/// library was built without exceptions. Never undefined behavior.
[[noreturn]] FERRULE_API void bad_result_access(const Error* error);

/// A value, or the Error that explains its absence. Spelled like std::expected, which not
/// all compilers we support have; reading the wrong side is checked in every build. As safe in
/// threads as the T it holds.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& value() & {
    check();
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    check();
    return *std::get_if<0>(&state_);
  }
  /// By value: `for (auto& x : f().value())` and `const auto& x = *f();` do not dangle.
  T value() && {
    check();
    return std::move(*std::get_if<0>(&state_));
  }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() & { return &value(); }
  const T* operator->() const& { return &value(); }
  /// What it leads to would be gone before a view of it could be used.
  const T* operator->() const&& = delete;

  const Error& error() const& {
    if (has_value()) bad_result_access(nullptr);
    return *std::get_if<1>(&state_);
  }
  Error error() && {
    if (has_value()) bad_result_access(nullptr);
    return std::move(*std::get_if<1>(&state_));
  }

  template <typename U>
  T value_or(U&& other) && {
    return has_value() ? std::move(*this).value() : static_cast<T>(std::forward<U>(other));
  }

 private:
  void check() const {
    if (!has_value()) bad_result_access(std::get_if<1>(&state_));
  }

  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  bool has_value() const noexcept { return !failed_; }
  explicit operator bool() const noexcept { return has_value(); }

  void value() const {
    if (failed_) bad_result_access(&error_);
  }

  const Error& error() const& {
    if (!failed_) bad_result_access(nullptr);
    return error_;
  }
  Error error() && {
    if (!failed_) bad_result_access(nullptr);
    return std::move(error_);
  }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace ferrule
