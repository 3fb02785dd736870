// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "ferrule/result.hpp"

#define FERRULE_TRY_CONCAT_INNER(a, b) a##b
#define FERRULE_TRY_CONCAT(a, b) FERRULE_TRY_CONCAT_INNER(a, b)

/// `FERRULE_TRY(auto header, parse(bytes));` declares `header`, or returns the Error from the
/// enclosing function. Two statements: not for the body of an if without braces.
// A declaration cannot be put in parentheses. NOLINTBEGIN(bugprone-macro-parentheses)
#define FERRULE_TRY(declaration, expression)                             \
  auto FERRULE_TRY_CONCAT(try_result_, __LINE__) = (expression);         \
  if (!FERRULE_TRY_CONCAT(try_result_, __LINE__))                        \
    return std::move(FERRULE_TRY_CONCAT(try_result_, __LINE__)).error(); \
  declaration = std::move(FERRULE_TRY_CONCAT(try_result_, __LINE__)).value()
// NOLINTEND(bugprone-macro-parentheses)

/// The same if the value is not needed, or if there is none.
#define FERRULE_CHECK(expression)                                          \
  do {                                                                     \
    auto FERRULE_TRY_CONCAT(try_result_, __LINE__) = (expression);         \
    if (!FERRULE_TRY_CONCAT(try_result_, __LINE__))                        \
      return std::move(FERRULE_TRY_CONCAT(try_result_, __LINE__)).error(); \
  } while (false)
