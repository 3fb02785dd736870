// SPDX-License-Identifier: Apache-2.0
#include "ferrule/error.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <stdexcept>
#include <string_view>

#include "ferrule/result.hpp"

namespace ferrule {
namespace {

// docs and scripts rely on these spellings.
TEST(Errors, HaveStableCodeNames) {
  EXPECT_EQ(error_code_name(ErrorCode::kInvalidArgument), "invalid_argument");
  EXPECT_EQ(error_code_name(ErrorCode::kNotFound), "not_found");
  EXPECT_EQ(error_code_name(ErrorCode::kIo), "io");
  EXPECT_EQ(error_code_name(ErrorCode::kCorrupt), "corrupt");
  EXPECT_EQ(error_code_name(ErrorCode::kUnsupported), "unsupported");
  EXPECT_EQ(error_code_name(ErrorCode::kLimitExceeded), "limit_exceeded");
}

TEST(Errors, ReadAsPathRuleMessage) {
  EXPECT_EQ((Error{.rule = "ST-7", .message = "a gap", .path = "x.safetensors"}).to_string(),
            "x.safetensors: [ST-7] a gap");
  EXPECT_EQ((Error{.message = "a gap", .path = "x"}).to_string(), "x: a gap");
  EXPECT_EQ((Error{.rule = "ST-7", .message = "a gap"}).to_string(), "[ST-7] a gap");
  EXPECT_EQ((Error{.message = "a gap"}).to_string(), "a gap");
  EXPECT_EQ(Error{}.to_string(), "");
}

TEST(Errors, EscapeAHostilePath) {
  EXPECT_EQ((Error{.message = "m", .path = "a\x1b[31m\nb"}).to_string(), R"(a\u001b[31m\nb: m)");
}

TEST(Errors, AreTheSystemsIfTheMachineFailed) {
  const auto error = [](ErrorCode code, int number) {
    return Error{.code = code, .system_errno = number};
  };
  EXPECT_TRUE(is_system_failure(error(ErrorCode::kIo, EIO)));
  EXPECT_TRUE(is_system_failure(error(ErrorCode::kIo, 0)));  // A network that does not answer.
  EXPECT_TRUE(is_system_failure(error(ErrorCode::kNotFound, ENOENT)));
  EXPECT_FALSE(is_system_failure(error(ErrorCode::kNotFound, 0)));  // A shard that is missing.
  EXPECT_FALSE(is_system_failure(error(ErrorCode::kIo, ELOOP)));
  for (const auto code : {ErrorCode::kInvalidArgument, ErrorCode::kCorrupt, ErrorCode::kUnsupported,
                          ErrorCode::kLimitExceeded}) {
    EXPECT_FALSE(is_system_failure(error(code, 0)));
  }
}

TEST(Results, RefuseAReadOfTheWrongSide) {
  const Result<int> failed = Error{.rule = "ST-1", .message = "too short"};
  const Result<int> good = 5;
  const Result<void> failed_void = Error{.message = "no"};
  const Result<void> good_void;
  EXPECT_THROW(static_cast<void>(failed.value()), std::logic_error);
  EXPECT_THROW(static_cast<void>(*failed), std::logic_error);
  EXPECT_THROW(static_cast<void>(good.error()), std::logic_error);
  EXPECT_THROW(failed_void.value(), std::logic_error);
  EXPECT_THROW(static_cast<void>(good_void.error()), std::logic_error);
}

TEST(Results, TheMisuseNamesTheErrorThatWasOverlooked) {
  const Result<int> failed = Error{.rule = "ST-1", .message = "too short", .path = "x"};
  try {
    static_cast<void>(failed.value());
    FAIL();
  } catch (const std::logic_error& error) {
    EXPECT_NE(std::string_view(error.what()).find("x: [ST-1] too short"), std::string_view::npos);
  }
}

}  // namespace
}  // namespace ferrule
