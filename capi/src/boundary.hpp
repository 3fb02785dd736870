// SPDX-License-Identifier: Apache-2.0
// What every function of the C interface does at its border: structs of any release in and out,
// errors as values, no exception outside.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "ferrule/c.h"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"

#define FERRULE_C_CONCAT_INNER(a, b) a##b
#define FERRULE_C_CONCAT(a, b) FERRULE_C_CONCAT_INNER(a, b)

/// `FERRULE_C_TRY(auto x, f());` declares `x`, or returns the Error from the enclosing function.
// A declaration cannot be put in parentheses. NOLINTBEGIN(bugprone-macro-parentheses)
#define FERRULE_C_TRY(declaration, expression)                                       \
  auto FERRULE_C_CONCAT(try_result_, __LINE__) = (expression);                       \
  if (!FERRULE_C_CONCAT(try_result_, __LINE__))                                      \
    return Result<void>(std::move(FERRULE_C_CONCAT(try_result_, __LINE__)).error()); \
  declaration = std::move(FERRULE_C_CONCAT(try_result_, __LINE__)).value()
// NOLINTEND(bugprone-macro-parentheses)

/// The same if there is no value.
#define FERRULE_C_CHECK(expression)                                                             \
  do {                                                                                          \
    if (auto checked = (expression); !checked) return Result<void>(std::move(checked).error()); \
  } while (false)

namespace ferrule::capi {

/// sizeof each struct in the first release that had it: smaller ones are wrong. Fixed for good.
template <typename Struct>
inline constexpr std::size_t kFirstSize = 0;
template <>
inline constexpr std::size_t kFirstSize<ferrule_error> = 3104;
template <>
inline constexpr std::size_t kFirstSize<ferrule_open_options> = 48;
template <>
inline constexpr std::size_t kFirstSize<ferrule_adapter_info> = 88;
template <>
inline constexpr std::size_t kFirstSize<ferrule_tensor> = 96;
template <>
inline constexpr std::size_t kFirstSize<ferrule_module> = 80;
template <>
inline constexpr std::size_t kFirstSize<ferrule_role> = 24;
template <>
inline constexpr std::size_t kFirstSize<ferrule_report_info> = 48;
template <>
inline constexpr std::size_t kFirstSize<ferrule_finding> = 88;
template <>
inline constexpr std::size_t kFirstSize<ferrule_verify_options> = 72;
template <>
inline constexpr std::size_t kFirstSize<ferrule_base_info> = 48;
template <>
inline constexpr std::size_t kFirstSize<ferrule_check_options> = 24;
template <>
inline constexpr std::size_t kFirstSize<ferrule_save_options> = 16;

/// Above this a size is memory that was never set.
inline constexpr std::size_t kMaxStructBytes = 4096;

Error invalid(std::string message);
Error missing(std::string message);

/// Whether `size` can be that of a struct whose first release had `first` bytes.
Result<void> check_size(std::string_view name, std::size_t size, std::size_t first);

/// Fails if a byte of a caller's struct is set that this library does not know.
Result<void> check_unknown(std::string_view name, std::span<const std::byte> unknown);

/// A struct of options as this library knows it; all 0 for nullptr.
template <typename Struct>
Result<Struct> taken(std::string_view name, const Struct* given) {
  Struct known = {};
  known.struct_size = sizeof(Struct);
  if (given == nullptr) return known;
  const std::size_t size = given->struct_size;
  if (auto checked = check_size(name, size, kFirstSize<Struct>); !checked) return checked.error();
  const auto* bytes = reinterpret_cast<const std::byte*>(given);
  if (size > sizeof(Struct)) {
    auto checked = check_unknown(name, std::span(bytes, size).subspan(sizeof(Struct)));
    if (!checked) return checked.error();
  }
  std::memcpy(&known, bytes, std::min(size, sizeof(Struct)));
  known.struct_size = sizeof(Struct);
  return known;
}

/// Writes what the caller's struct has room for.
template <typename Struct>
Result<void> give(std::string_view name, Struct value, Struct* out) {
  if (out == nullptr) return invalid(std::string(name) + " is null");
  const std::uint32_t size = out->struct_size;
  if (size == sizeof(Struct)) {
    value.struct_size = size;
    *out = value;
    return {};
  }
  if (auto checked = check_size(name, size, kFirstSize<Struct>); !checked) return checked;
  value.struct_size = size;
  std::memcpy(out, &value, std::min<std::size_t>(size, sizeof(Struct)));
  return {};
}

inline ferrule_text text_of(std::string_view text) noexcept { return {text.data(), text.size()}; }

ferrule_status status_of(ErrorCode code) noexcept;

/// Fills `out`, which may be nullptr, and returns the status.
ferrule_status fail(const Error& error, ferrule_error* out) noexcept;

/// Fills `out` for a failure that is not an Error. Needs no memory.
ferrule_status fail(ferrule_status status, std::string_view message, ferrule_error* out) noexcept;

/// False if `error` is a struct of no release: then nothing can be said.
bool is_usable(const ferrule_error* error) noexcept;

/// Runs `body`, which returns Result<void>, and turns whatever comes of it into a status.
template <typename Body>
ferrule_status guarded(ferrule_error* error, Body&& body) noexcept {
  if (!is_usable(error)) return FERRULE_INVALID_ARGUMENT;
  try {
    const Result<void> result = body();
    return result ? FERRULE_OK : fail(result.error(), error);
  } catch (const std::bad_alloc&) {
    return fail(FERRULE_LIMIT_EXCEEDED, "there is not enough memory", error);
  } catch (const std::exception& bug) {
    return fail(FERRULE_INTERNAL, bug.what(), error);
  } catch (...) {
    return fail(FERRULE_INTERNAL, "an unknown exception", error);
  }
}

}  // namespace ferrule::capi
