// SPDX-License-Identifier: Apache-2.0
// test_habits.py and test_cache.py compare with huggingface_hub itself.
#include <gtest/gtest.h>

#include <chrono>

#include "ferrule/hub.hpp"
#include "hub/test_environment.hpp"
#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

using std::chrono::seconds;

class HubSettings : public testing::Test {
 protected:
  HubSettings() {
    for (const auto* name :
         {"HF_ENDPOINT", "HUGGINGFACE_CO_STAGING", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN",
          "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE",
          "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_IMPLICIT_TOKEN",
          "HF_HUB_DISABLE_SYMLINKS", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"}) {
      environment.set(name, nullptr);
    }
    environment.set("HOME", folder.path().c_str());
  }

  const test::TempDir folder;
  test::TestEnvironment environment{{}};
};

TEST_F(HubSettings, WithoutVariablesAreHuggingfaceHubs) {
  const auto settings = Settings::from_environment();
  EXPECT_EQ(settings.endpoint, "https://huggingface.co");
  EXPECT_EQ(settings.token, "");
  EXPECT_EQ(settings.home, folder.path() / ".cache/huggingface");
  EXPECT_EQ(settings.cache, folder.path() / ".cache/huggingface/hub");
  EXPECT_FALSE(settings.offline);
  EXPECT_TRUE(settings.symlinks);
  EXPECT_EQ(settings.connect_timeout, seconds(10));
  EXPECT_EQ(settings.transfer_timeout, seconds(10));
}

TEST_F(HubSettings, TheEndpointLosesItsSlashes) {
  environment.set("HUGGINGFACE_CO_STAGING", "1");
  EXPECT_EQ(Settings::from_environment().endpoint, "https://hub-ci.huggingface.co");
  environment.set("HF_ENDPOINT", "http://hub:1//");
  EXPECT_EQ(Settings::from_environment().endpoint, "http://hub:1");
}

TEST_F(HubSettings, TheTokenComesFromAVariableOrAFile) {
  test::write_file(folder / ".cache/huggingface/token", " from-home\n");
  EXPECT_EQ(Settings::from_environment().token, "from-home");
  test::write_file(folder / "elsewhere", "from-path");
  environment.set("HF_TOKEN_PATH", "~/elsewhere");
  EXPECT_EQ(Settings::from_environment().token, "from-path");
  environment.set("HUGGING_FACE_HUB_TOKEN", "old\n");
  EXPECT_EQ(Settings::from_environment().token, "old");
  environment.set("HF_TOKEN", "  ");
  EXPECT_EQ(Settings::from_environment().token, "old");
  environment.set("HF_TOKEN", "new");
  EXPECT_EQ(Settings::from_environment().token, "new");
  environment.set("HF_HUB_DISABLE_IMPLICIT_TOKEN", "yes");
  EXPECT_EQ(Settings::from_environment().token, "");
}

TEST_F(HubSettings, FoldersExpandAsAShellExpandsThem) {
  environment.set("XDG_CACHE_HOME", "/xdg");
  EXPECT_EQ(Settings::from_environment().home, "/xdg/huggingface");
  environment.set("HF_HOME", "~/home");
  EXPECT_EQ(Settings::from_environment().cache, folder.path() / "home/hub");
  environment.set("HUGGINGFACE_HUB_CACHE", "$HOME/old");
  EXPECT_EQ(Settings::from_environment().cache, folder.path() / "old");
  environment.set("HF_HUB_CACHE", "${HOME}/new/$FERRULE_UNSET/${HOME");
  EXPECT_EQ(Settings::from_environment().cache,
            folder.path().string() + "/new/$FERRULE_UNSET/${HOME");
}

TEST_F(HubSettings, FlagsAreTheWordsThatMeanYes) {
  for (const auto* yes : {"1", "ON", "yes", "True"}) {
    environment.set("HF_HUB_OFFLINE", yes);
    environment.set("HF_HUB_DISABLE_SYMLINKS", yes);
    EXPECT_TRUE(Settings::from_environment().offline) << yes;
    EXPECT_FALSE(Settings::from_environment().symlinks) << yes;
  }
  for (const auto* no : {"0", "off", "2", "y", ""}) {
    environment.set("HF_HUB_OFFLINE", no);
    EXPECT_FALSE(Settings::from_environment().offline) << no;
  }
  environment.set("HF_HUB_OFFLINE", nullptr);
  environment.set("TRANSFORMERS_OFFLINE", "1");
  EXPECT_TRUE(Settings::from_environment().offline);
}

TEST_F(HubSettings, TimesAreWholePositiveSeconds) {
  environment.set("HF_HUB_ETAG_TIMEOUT", "7");
  environment.set("HF_HUB_DOWNLOAD_TIMEOUT", "8");
  auto settings = Settings::from_environment();
  EXPECT_EQ(settings.connect_timeout, seconds(7));
  EXPECT_EQ(settings.answer_timeout, seconds(7));
  EXPECT_EQ(settings.commit_timeout, seconds(10));
  EXPECT_EQ(settings.transfer_timeout, seconds(8));
  for (const auto* bad : {"0", "-1", "1.5", "soon", "", "99999999999"}) {
    environment.set("HF_HUB_DOWNLOAD_TIMEOUT", bad);
    EXPECT_EQ(Settings::from_environment().transfer_timeout, seconds(10)) << bad;
  }
}

}  // namespace
}  // namespace ferrule::hub
