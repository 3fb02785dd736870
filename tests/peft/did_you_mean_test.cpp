// SPDX-License-Identifier: Apache-2.0
#include "peft/did_you_mean.hpp"

#include <gtest/gtest.h>

namespace ferrule::peft {
namespace {

TEST(DidYouMean, EndsAMessageOnlyIfSomethingIsNear) {
  const std::string_view names[] = {"lora_alpha", "lora_dropout"};
  EXPECT_EQ(did_you_mean("lora_alhpa", names), "; did you mean \"lora_alpha\"?");
  EXPECT_EQ(did_you_mean("completely_else", names), "");
}

}  // namespace
}  // namespace ferrule::peft
