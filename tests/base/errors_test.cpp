// SPDX-License-Identifier: Apache-2.0
#include "base/errors.hpp"

#include <gtest/gtest.h>

namespace ferrule {
namespace {

TEST(ErrorMakers, SetTheCodeTheirNameSays) {
  EXPECT_EQ(base::invalid("m").code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(base::not_found("m").code, ErrorCode::kNotFound);
  EXPECT_EQ(base::corrupt("m").code, ErrorCode::kCorrupt);
  EXPECT_EQ(base::unsupported("m").code, ErrorCode::kUnsupported);
  EXPECT_EQ(base::over_limit("m").code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(base::make_error(ErrorCode::kIo, {}, "m").code, ErrorCode::kIo);
}

TEST(ErrorMakers, KeepRuleAndMessage) {
  const auto error = base::corrupt("ST-7", "a gap");
  EXPECT_EQ(error.rule, "ST-7");
  EXPECT_EQ(error.message, "a gap");
  EXPECT_EQ(error.path, "");
  EXPECT_EQ(base::corrupt("a gap").rule, "");
}

TEST(ErrorMakers, AtReplacesThePath) {
  const auto error = base::at(base::at(base::corrupt("ST-7", "a gap"), "inner"), "outer");
  EXPECT_EQ(error.to_string(), "outer: [ST-7] a gap");
}

}  // namespace
}  // namespace ferrule
