// SPDX-License-Identifier: Apache-2.0
// PK-21, PK-22: the longer lists for the files of trainers and for `.metadata`.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "format/pickle/pickle.hpp"

namespace ferrule::format {
namespace {

Result<Pickle> read(std::string_view text, PicklePolicy policy) {
  return Pickle::read(std::as_bytes(std::span(text.data(), text.size())), {}, policy);
}

TEST(PickleTrainerGlobals, NamesAreMatchedWithTheirModule) {
  EXPECT_TRUE(find_dcp_global("torch.distributed.checkpoint.metadata", "Metadata"));
  EXPECT_FALSE(find_dcp_global("my.checkpoint.metadata", "Metadata"));
  EXPECT_FALSE(find_dcp_global("torch.distributed.checkpoint.metadata", "metadata"));
  EXPECT_TRUE(find_dcp_global("pathlib", "PosixPath"));
  EXPECT_TRUE(find_trainer_global("builtins", "slice"));
  EXPECT_FALSE(find_trainer_global("builtins", "print"));
}

TEST(PickleTrainerGlobals, NeitherListIsForOtherFiles) {
  constexpr std::string_view kPath = "cpathlib\nPosixPath\n(S'a'\ntR.";
  EXPECT_TRUE(read(kPath, PicklePolicy::kTrainer));
  EXPECT_TRUE(read(kPath, PicklePolicy::kDcpMetadata));
  const auto refused = read(kPath, PicklePolicy::kRefuse);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, "PK-3");
}

// PK-21: the class of a run's own arguments is passed over; a name that prints is not a plain
// value.
TEST(PickleTrainerGlobals, AnUnknownClassIsPassedOverInATrainersFile) {
  EXPECT_TRUE(read("cmyapp\nArguments\n)R.", PicklePolicy::kTrainer));
  EXPECT_FALSE(read("cmyapp\nArguments\n)R.", PicklePolicy::kDcpMetadata));
}

}  // namespace
}  // namespace ferrule::format
