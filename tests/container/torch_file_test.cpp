// SPDX-License-Identifier: Apache-2.0
#include "ferrule/torch_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/json.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(FERRULE_TEST_DATA) / "golden/torch";

std::string to_hex(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const auto byte : bytes) {
    out += kDigits[std::to_integer<unsigned>(byte) >> 4];
    out += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return out;
}

std::vector<fs::path> golden_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(kGolden)) {
    if (entry.path().extension() == ".pt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// The key that a name such as nested.state_dict.pt asks for.
std::string key_of(const fs::path& file) {
  const auto stem = file.stem();
  return stem.has_extension() ? stem.extension().string().substr(1) : std::string();
}

std::string case_name(const testing::TestParamInfo<fs::path>& info) {
  std::string name =
      info.param.parent_path().filename().string() + "_" + info.param.stem().string();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

class TorchGolden : public testing::TestWithParam<fs::path> {};

TEST_P(TorchGolden, ReadsToTheBitOrRefusesByItsRule) {
  const fs::path path = GetParam();
  const auto file = TorchFile::open(path, {.torch_key = key_of(path)});
  const std::string stem = path.stem().string();
  if (stem.starts_with("PK-")) {
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().rule, stem.substr(0, stem.find('-', 3))) << file.error().to_string();
    EXPECT_EQ(file.error().code, ErrorCode::kUnsupported);
    EXPECT_EQ(file.error().path, path.string());
    return;
  }
  ASSERT_TRUE(file) << file.error().to_string();
  const auto expected = Json::parse(test::read_file(fs::path(path).replace_extension(".json")));
  ASSERT_TRUE(expected);
  const auto* rows = expected->find("tensors")->if_object();
  ASSERT_NE(rows, nullptr);
  ASSERT_EQ(file->tensors().size(), rows->size());
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const auto& [name, row] = (*rows)[i];
    const auto& found = file->tensors()[i];
    EXPECT_EQ(found.name, name);
    EXPECT_EQ(dtype_name(found.tensor.dtype()), *row.find("dtype")->if_string()) << name;
    Json::Array shape;
    for (const auto extent : found.tensor.shape()) shape.emplace_back(extent);
    EXPECT_EQ(Json(shape), *row.find("shape")) << name;
    EXPECT_EQ(to_hex(found.tensor.bytes()), *row.find("bytes")->if_string()) << name;
    const auto again = file->find(name);
    ASSERT_TRUE(again) << name;
    EXPECT_EQ(again->bytes().data(), found.tensor.bytes().data()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, TorchGolden, testing::ValuesIn(golden_files()), case_name);

TEST(TorchFile, GoldenFilesOfBothTorchesAreThere) { EXPECT_GE(golden_files().size(), 50U); }

TEST(TorchFile, SharedStoragesStayShared) {
  const auto file = TorchFile::open(kGolden / "torch-2.13/tied.pt");
  ASSERT_TRUE(file);
  const auto a = file->find("a")->bytes();
  EXPECT_EQ(a.data(), file->find("b")->bytes().data());
  EXPECT_EQ(a.data(), file->find("c")->bytes().data());
  EXPECT_EQ(a.data() + 12, file->find("d")->bytes().data());
}

TEST(TorchFile, ViewsSurviveAMove) {
  auto file = TorchFile::open(kGolden / "torch-2.13/layouts.pt");
  ASSERT_TRUE(file);
  const auto before = file->find("transposed")->bytes();
  const TorchFile moved = std::move(*file);
  EXPECT_EQ(moved.find("transposed")->bytes().data(), before.data());
}

TEST(TorchFile, AWrongKeyNamesTheRightOne) {
  const auto path = kGolden / "torch-2.13/nested.state_dict.pt";
  const auto plain = TorchFile::open(path);
  ASSERT_FALSE(plain);
  EXPECT_NE(plain.error().message.find("--key state_dict"), std::string::npos);
  const auto wrong = TorchFile::open(path, {.torch_key = "model"});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::kNotFound);
  const auto leaf = TorchFile::open(path, {.torch_key = "epoch"});
  ASSERT_FALSE(leaf);
  EXPECT_EQ(leaf.error().rule, "PK-10");
}

TEST(TorchFile, MaterializedBytesAreLimited) {
  const auto path = kGolden / "torch-2.13/layouts.pt";
  OpenOptions options;
  options.limits.materialized_bytes = 100;
  const auto file = TorchFile::open(path, options);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(file.error().rule, "PK-15");
}

std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// Everything handed out lies in bounds and has the size that dtype and shape say.
void check_invariants(const TorchFile& file) {
  for (const auto& [name, tensor] : file.tensors()) {
    EXPECT_EQ(byte_size(tensor.dtype(), tensor.shape()), tensor.bytes().size()) << name;
    unsigned sum = 0;
    for (const auto byte : tensor.bytes()) sum += std::to_integer<unsigned>(byte);
    EXPECT_LE(sum, 255U * tensor.bytes().size());
  }
}

class TorchDamage : public testing::TestWithParam<const char*> {};

TEST_P(TorchDamage, NoPrefixOpens) {
  const std::string whole = test::read_file(kGolden / GetParam());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string part = whole.substr(0, length);
    const auto file = TorchFile::from_bytes(as_bytes(part));
    ASSERT_FALSE(file) << length;
    EXPECT_FALSE(file.error().rule.empty()) << length;
  }
}

TEST_P(TorchDamage, AnyFlippedByteIsAnErrorOrHarmless) {
  const std::string whole = test::read_file(kGolden / GetParam());
  const bool checksummed = whole.starts_with("PK");
  const auto good = TorchFile::from_bytes(as_bytes(whole));
  ASSERT_TRUE(good);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      std::string bad = whole;
      bad[at] = static_cast<char>(static_cast<unsigned char>(bad[at]) ^ mask);
      const auto file = TorchFile::from_bytes(as_bytes(bad));
      if (!file) {
        EXPECT_FALSE(file.error().rule.empty()) << at << ": " << file.error().message;
        continue;
      }
      check_invariants(*file);
      if (!checksummed) continue;
      ASSERT_EQ(file->tensors().size(), good->tensors().size()) << at;
      for (std::size_t i = 0; i < good->tensors().size(); ++i) {
        EXPECT_EQ(to_hex(file->tensors()[i].tensor.bytes()),
                  to_hex(good->tensors()[i].tensor.bytes()))
            << at;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, TorchDamage,
                         testing::Values("torch-2.13/tied.pt", "torch-2.13/layouts_legacy.pt",
                                         "torch-1.13/parameter.pt"));

TEST(TorchFile, ARangeIsWhereTheFileHasTheTensor) {
  std::size_t contiguous = 0;
  std::size_t rearranged = 0;
  for (const auto& path : golden_files()) {
    const auto file = TorchFile::open(path, {.torch_key = key_of(path)});
    if (!file) continue;  // One that is refused.
    const auto content = test::read_file(path);
    for (const auto& [name, tensor] : file->tensors()) {
      const auto range = file->range(name);
      if (!range) {
        EXPECT_EQ(range.error().code, ErrorCode::kUnsupported);
        EXPECT_EQ(range.error().path, path);
        ++rearranged;
        continue;
      }
      ++contiguous;
      EXPECT_EQ(range->path, path);
      EXPECT_EQ(range->length, tensor.bytes().size());
      EXPECT_EQ(to_hex(std::as_bytes(std::span(content)).subspan(range->offset, range->length)),
                to_hex(tensor.bytes()))
          << path << " " << name;
    }
    EXPECT_EQ(file->range("no such tensor").error().code, ErrorCode::kNotFound);
  }
  EXPECT_GT(contiguous, 100U);
  EXPECT_GT(rearranged, 2U);
}

}  // namespace
}  // namespace ferrule
