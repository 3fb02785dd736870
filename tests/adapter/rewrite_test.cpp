// SPDX-License-Identifier: Apache-2.0
#include "adapter/rewrite.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/try.hpp"
#include "ferrule/file_names.hpp"
#include "temp_dir.hpp"

namespace ferrule::adapter {
namespace {

namespace fs = std::filesystem;

std::function<Result<void>(io::OutputFile&)> bytes(std::string content) {
  return [content = std::move(content)](io::OutputFile& out) {
    return out.write(std::as_bytes(std::span(content)));
  };
}

/// Rewrites the adapters below a directory; notes what was asked of it.
class Upper final : public Rewriter {
 public:
  explicit Upper(fs::path source) : source_(std::move(source)) {}

  std::function<void(int)> before_look = [](int) {};
  std::function<bool(int)> wanted = [](int) { return true; };
  WeightsFormat format = WeightsFormat::kSafetensors;
  bool writes_weights = true;
  int looks = 0;
  int makes = 0;
  std::string read;  // The config, as of the last look.

  Result<bool> look() override {
    before_look(++looks);
    FERRULE_TRY(folders_, find_adapter_folders(source_));
    read = test::read_file(source_ / kConfigFile);
    return wanted(looks);
  }

  Result<std::vector<FolderRewrite>> make() override {
    ++makes;
    std::vector<FolderRewrite> out;
    for (const auto& folder : folders_) {
      out.push_back({.folder = folder.name,
                     .format = format,
                     .weights = writes_weights ? bytes("new") : nullptr,
                     .config = read + "!",
                     .source = &folder});
    }
    return out;
  }

 private:
  fs::path source_;
  std::vector<AdapterFolder> folders_;
};

class Rewrite : public testing::Test {
 protected:
  Rewrite() {
    test::write_file(temp_ / "in/adapter_config.json", "{}");
    test::write_file(temp_ / "in/adapter_model.bin", "old");
    test::write_file(temp_ / "in/notes.txt", "notes");
    test::write_file(temp_ / "in/second/adapter_config.json", "{}");
    test::write_file(temp_ / "in/second/adapter_model.safetensors", "old");
  }

  Result<RewriteReport> to(const fs::path& output, Rewriter& rewriter) {
    return rewrite(output, {.source = temp_ / "in", .durability = Durability::kFast}, rewriter);
  }

  test::TempDir temp_;
};

TEST_F(Rewrite, LooksTwiceWritesOnceAndCarriesTheRest) {
  Upper upper(temp_ / "in");
  const auto report = to(temp_ / "out", upper);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(upper.looks, 2);
  EXPECT_EQ(upper.makes, 1);
  EXPECT_TRUE(report->written);
  EXPECT_FALSE(report->in_place);
  ASSERT_EQ(report->folders.size(), 2U);
  EXPECT_EQ(report->folders[0].weights_bytes, 3U);
  EXPECT_EQ(report->folders[0].copied, std::vector<std::string>{"notes.txt"});
  EXPECT_TRUE(report->folders[1].copied.empty());
  EXPECT_EQ(test::read_file(temp_ / "out/adapter_model.safetensors"), "new");
  EXPECT_EQ(test::read_file(temp_ / "out/adapter_config.json"), "{}!");
  EXPECT_EQ(test::read_file(temp_ / "out/notes.txt"), "notes");
  EXPECT_EQ(test::read_file(temp_ / "out/second/adapter_model.safetensors"), "new");
  EXPECT_FALSE(fs::exists(temp_ / "out/adapter_model.bin"));
  EXPECT_EQ(test::read_file(temp_ / "in/adapter_model.bin"), "old");
}

TEST_F(Rewrite, InPlaceTheRestStaysAndTheOtherFormatGoes) {
  Upper upper(temp_ / "in");
  fs::create_directory_symlink(temp_ / "in", temp_ / "link");
  const auto report = to(temp_ / "link", upper);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->in_place);
  EXPECT_TRUE(report->folders[0].copied.empty());
  EXPECT_EQ(test::read_file(temp_ / "in/adapter_model.safetensors"), "new");
  EXPECT_EQ(test::read_file(temp_ / "in/notes.txt"), "notes");
  EXPECT_FALSE(fs::exists(temp_ / "in/adapter_model.bin"));
}

TEST_F(Rewrite, WritesWhatTheSecondLookSaw) {
  Upper upper(temp_ / "in");
  upper.before_look = [&](int look) {
    if (look == 2) test::write_file(temp_ / "in/adapter_config.json", "{another saver's}");
  };
  ASSERT_TRUE(to(temp_ / "in", upper));
  EXPECT_EQ(test::read_file(temp_ / "in/adapter_config.json"), "{another saver's}!");
}

TEST_F(Rewrite, ARefusalAtEitherLookWritesNothing) {
  for (const int refusing : {1, 2}) {
    Upper upper(temp_ / "in");
    upper.wanted = [&](int look) { return look != refusing; };
    const auto report = to(temp_ / "out", upper);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_FALSE(report->written);
    EXPECT_EQ(upper.looks, refusing);
    EXPECT_EQ(upper.makes, 0);
    EXPECT_FALSE(fs::exists(temp_ / "out"));
  }
}

TEST_F(Rewrite, AnErrorOfTheFirstLookComesBeforeAnythingIsCreated) {
  Upper upper(temp_ / "nowhere");
  const auto report = to(temp_ / "out", upper);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(upper.looks, 1);
  EXPECT_FALSE(fs::exists(temp_ / "out"));
}

TEST_F(Rewrite, WeightsThatAreKeptAreCarriedAlong) {
  Upper upper(temp_ / "in");
  upper.writes_weights = false;
  upper.format = WeightsFormat::kBin;
  test::write_file(temp_ / "out/adapter_model.safetensors", "stale");
  const auto report = to(temp_ / "out", upper);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(test::read_file(temp_ / "out/adapter_model.bin"), "old");
  // The reader's lookup would prefer it to the weights that belong here.
  EXPECT_FALSE(fs::exists(temp_ / "out/adapter_model.safetensors"));
}

TEST_F(Rewrite, DigestsNameWhatWasWritten) {
  Upper upper(temp_ / "in");
  const auto report = rewrite(
      temp_ / "out", {.source = {}, .durability = Durability::kFast, .digests = true}, upper);
  ASSERT_TRUE(report) << report.error().to_string();
  ASSERT_EQ(report->files.size(), 4U);
  EXPECT_EQ(report->files[0].path, temp_ / "out/adapter_model.safetensors");
  EXPECT_EQ(report->files[0].size, 3U);
  EXPECT_EQ(report->files[0].sha256,
            "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437");
  EXPECT_TRUE(report->files[0].git_blob.empty());
  EXPECT_EQ(report->files[1].git_blob.size(), 40U);
}

}  // namespace
}  // namespace ferrule::adapter
