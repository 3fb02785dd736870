// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "ferrule/pickle_scan.hpp"
#include "ferrule/torch_file.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_in(const char* folder, const char* pattern) {
  std::vector<fs::path> files;
  const std::regex wanted(pattern);
  for (const auto& entry : fs::directory_iterator(fs::path(FERRULE_TEST_DATA) / folder)) {
    if (std::regex_match(entry.path().filename().string(), wanted)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<fs::path> malformed() { return files_in("malformed", R"((TZ|PK)-\d\d-.*\.bin)"); }

/// "PK-07-depth.bin" breaks PK-7.
std::string rule_of(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.substr(0, 3) + std::to_string(std::stoi(name.substr(3, 2)));
}

std::string case_name(const testing::TestParamInfo<fs::path>& info) {
  std::string name = info.param.stem().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

class MalformedTorch : public testing::TestWithParam<fs::path> {};

TEST_P(MalformedTorch, IsRefusedByItsRule) {
  const auto file = TorchFile::open(GetParam());
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().rule, rule_of(GetParam())) << file.error().to_string();
  EXPECT_TRUE(file.error().code == ErrorCode::kCorrupt ||
              file.error().code == ErrorCode::kUnsupported ||
              file.error().code == ErrorCode::kLimitExceeded);
  EXPECT_EQ(file.error().path, GetParam().string());
  EXPECT_LT(file.error().message.size(), 1000U);
}

TEST_P(MalformedTorch, CanBeScanned) {
  const auto scanned = scan_file(GetParam());
  EXPECT_FALSE(scanned.system_error);
}

INSTANTIATE_TEST_SUITE_P(Files, MalformedTorch, testing::ValuesIn(malformed()), case_name);

class TorchByHand : public testing::TestWithParam<fs::path> {};

TEST_P(TorchByHand, IsRead) {
  const auto file = TorchFile::open(GetParam());
  ASSERT_TRUE(file) << file.error().to_string();
  ASSERT_TRUE(file->find("a"));
  const auto values = file->find("a")->as<float>();
  // An unaligned place gives no span of floats; the bytes are there all the same.
  EXPECT_TRUE(!values || (*values)[0] == 1.0F || (*values)[0] == 3.0F);
  EXPECT_TRUE(scan_file(GetParam()).harmless());
}

INSTANTIATE_TEST_SUITE_P(Files, TorchByHand,
                         testing::ValuesIn(files_in("golden/torch_by_hand", R"(.*\.bin)")),
                         case_name);

TEST(TorchRules, EveryRuleOfTheDocumentsHasABrokenFile) {
  std::set<std::string> broken;
  for (const auto& file : malformed()) broken.insert(rule_of(file));
  for (const char* family : {"TZ", "PK"}) {
    const auto path = fs::path(FERRULE_TEST_DATA) / "../docs/rules" / (std::string(family) + ".md");
    const std::string text = test::read_file(path);
    const std::regex row("\\| (" + std::string(family) + R"(-\d+) \|)");
    std::size_t rules = 0;
    // Rules of other readers of pickles: tests/format/pickle/pickle_trainer_globals_test.cpp,
    // tests/format/torch/dcp_metadata_test.cpp, tests/rescue.
    const std::set<std::string> elsewhere = {"PK-21", "PK-22", "PK-23"};
    for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it) {
      ++rules;
      if (elsewhere.contains((*it)[1].str())) continue;
      EXPECT_TRUE(broken.contains((*it)[1].str())) << (*it)[1].str();
    }
    EXPECT_GE(rules, 16U) << family;
  }
}

}  // namespace
}  // namespace ferrule
