// SPDX-License-Identifier: Apache-2.0
#include "base/try.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace ferrule::base {
namespace {

Result<int> failed() { return Error{.code = ErrorCode::kIo, .message = "no"}; }

Result<int> twice(Result<int> given, int& after) {
  FERRULE_TRY(const int value, std::move(given));
  ++after;
  return 2 * value;
}

TEST(Try, DeclaresTheValueAndGoesOn) {
  int after = 0;
  EXPECT_EQ(twice(21, after).value(), 42);
  EXPECT_EQ(after, 1);
}

TEST(Try, ReturnsTheErrorAtOnce) {
  int after = 0;
  const auto result = twice(failed(), after);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kIo);
  EXPECT_EQ(result.error().message, "no");
  EXPECT_EQ(after, 0);
}

Result<std::unique_ptr<int>> pass(Result<std::unique_ptr<int>> given) {
  FERRULE_TRY(auto value, std::move(given));
  return value;
}

TEST(Try, MovesTheValue) { EXPECT_EQ(**pass(std::make_unique<int>(7)), 7); }

Result<int> count_calls(int& calls) {
  ++calls;
  return calls;
}

Result<void> use(int& calls) {
  FERRULE_TRY(const int first, count_calls(calls));
  FERRULE_TRY(const int second, count_calls(calls));
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
  return {};
}

TEST(Try, EvaluatesItsExpressionOnce) {
  int calls = 0;
  EXPECT_TRUE(use(calls));
  EXPECT_EQ(calls, 2);
}

Result<int> check(bool reached_if, Result<void> given) {
  if (reached_if) FERRULE_CHECK(given);
  return 1;
}

TEST(Check, ReturnsTheErrorOfAResultWithoutAValue) {
  EXPECT_EQ(check(true, {}).value(), 1);
  EXPECT_EQ(check(true, Error{.message = "bad"}).error().message, "bad");
}

TEST(Check, MayBeTheBodyOfAnIf) { EXPECT_EQ(check(false, Error{.message = "bad"}).value(), 1); }

}  // namespace
}  // namespace ferrule::base
