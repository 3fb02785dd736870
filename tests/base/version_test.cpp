// SPDX-License-Identifier: Apache-2.0
#include "ferrule/version.hpp"

#include <gtest/gtest.h>

#include <string>

#include "temp_dir.hpp"

namespace ferrule {
namespace {

TEST(Version, IsThatOfTheProject) { EXPECT_EQ(version(), FERRULE_PROJECT_VERSION); }

// The golden files were written by PEFT 0.21.0; no patch release since has changed a file.
TEST(Version, OfPeftIsOfTheMinorReleaseThatWroteTheGoldenFiles) {
  const auto config =
      test::read_file(FERRULE_TEST_DATA "/golden/cases/lora/expected/adapter_config.json");
  const std::string minor(peft_version().substr(0, peft_version().rfind('.')));
  const auto line = "\"peft_version\": \"" + minor + ".";
  EXPECT_NE(config.find(line), std::string::npos) << line;
}

}  // namespace
}  // namespace ferrule
