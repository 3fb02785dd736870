// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/reference.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>

namespace ferrule::hub {
namespace {

struct Case {
  std::string text;
  std::string repo;
  std::string revision = {};
  std::string folder = {};
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.text; }

class References : public testing::TestWithParam<Case> {};

TEST_P(References, AreTakenApart) {
  const auto reference = Reference::parse(GetParam().text);
  ASSERT_TRUE(reference) << reference.error().to_string();
  EXPECT_EQ(reference->repo, GetParam().repo);
  EXPECT_EQ(reference->revision, GetParam().revision);
  EXPECT_EQ(reference->folder, GetParam().folder);
  const auto again = Reference::parse(reference->text());
  ASSERT_TRUE(again) << reference->text();
  EXPECT_EQ(again->text(), reference->text());
  EXPECT_EQ(again->repo, reference->repo);
  EXPECT_EQ(again->revision, reference->revision);
  EXPECT_EQ(again->folder, reference->folder);
}

INSTANTIATE_TEST_SUITE_P(
    Hub, References,
    testing::Values(Case{"hf://gpt2", "gpt2"}, Case{"hf://ann/a", "ann/a"},
                    Case{"hf://ann/a/", "ann/a"}, Case{"hf://gpt2/", "gpt2"},
                    Case{"hf://ann/a/sub/x", "ann/a", "", "sub/x"},
                    Case{"hf://ann/a@v1", "ann/a", "v1"}, Case{"hf://gpt2@v1", "gpt2", "v1"},
                    Case{"hf://ann/a@v1/sub", "ann/a", "v1", "sub"},
                    Case{"hf://ann/a@v%2F2/sub", "ann/a", "v/2", "sub"},
                    Case{"hf://ann/a@refs/pr/3", "ann/a", "refs/pr/3"},
                    Case{"hf://ann/a@refs/pr/3/sub", "ann/a", "refs/pr/3", "sub"},
                    Case{"hf://ann/a/su@b", "ann/a", "", "su@b"}));

TEST(HubReferences, AnythingElseIsAMistakeOfTheCaller) {
  for (const auto* bad :
       {"", "hf://", "hf:///", "hf://ann/a@", "hf://ann/a@/sub", "hf://ann/a@-x", "hf://ann/a/../x",
        "hf://ann/a/x\\y", "hf://a--b/c", "ann/a", "https://hub/ann/a", "s3://bucket/a"}) {
    const auto refused = Reference::parse(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().rule, "HB-1") << bad;
  }
}

}  // namespace
}  // namespace ferrule::hub
