// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <utility>

#include "ferrule/error.hpp"
#include "ferrule/result.hpp"

namespace ferrule::python {

/// The exception of Python for `error`: a subclass of ferrule.Error by its code. Needs the GIL.
nanobind::object to_exception(const Error& error);

/// Raises it. Needs the GIL.
[[noreturn]] void raise(const Error& error);

/// Raises a ferrule.Error of that code without rule or path.
[[noreturn]] void raise(ErrorCode code, std::string message);

/// The value, or its error raised. Needs the GIL.
template <typename T>
T value_or_raise(Result<T> result) {
  if (!result) raise(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

/// The same for a value that the caller gave: what would be corrupt in a file is an invalid
/// argument.
template <typename T>
T argument_or_raise(Result<T> result) {
  if (!result && result.error().code == ErrorCode::kCorrupt) {
    auto error = result.error();
    error.code = ErrorCode::kInvalidArgument;
    raise(error);
  }
  return value_or_raise(std::move(result));
}

/// Runs `work` without the GIL: it must not use anything of Python.
template <typename Work>
auto without_gil(Work&& work) {
  const nanobind::gil_scoped_release release;
  return std::forward<Work>(work)();
}

}  // namespace ferrule::python
