// SPDX-License-Identifier: Apache-2.0
#include "ferrule/safetensors_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <ostream>
#include <string>
#include <vector>

#include "format/safetensors_bytes.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

using test::as_bytes;
using test::safetensors;
using test::TempDir;
using test::write_file;

constexpr std::string_view kTwo =
    "{\"__metadata__\":{\"format\":\"pt\",\"lm_head.weight\":\"embed.weight\",\"gone\":\"other\"},"
    "\"embed.weight\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
    "\"b\\n\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[3,4]}}";

template <typename T>
concept CanListTemporary = requires(T&& file) {
  std::forward<T>(file).tensors();
};
template <typename T>
concept CanFindInTemporary = requires(T&& file) {
  std::forward<T>(file).find("a");
};
template <typename T>
concept CanAliasTemporary = requires(T&& file) {
  std::forward<T>(file).aliases();
};
template <typename T>
concept CanDescribeTemporary = requires(T&& file) {
  std::forward<T>(file).metadata();
};

static_assert(CanListTemporary<SafetensorsFile&> && CanFindInTemporary<SafetensorsFile&>);
static_assert(CanAliasTemporary<SafetensorsFile&> && CanDescribeTemporary<SafetensorsFile&>);
static_assert(!CanListTemporary<SafetensorsFile> && !CanFindInTemporary<SafetensorsFile>);
static_assert(!CanAliasTemporary<SafetensorsFile> && !CanDescribeTemporary<SafetensorsFile>);

class BothBackings : public testing::TestWithParam<Backing> {};

TEST_P(BothBackings, GiveTheSameTensors) {
  const TempDir dir;
  std::string content = safetensors(kTwo, 4);
  content.replace(content.size() - 4, 4, "wxyz");
  write_file(dir / "a.safetensors", content);
  const auto file = SafetensorsFile::open(dir / "a.safetensors", {.backing = GetParam()});
  ASSERT_TRUE(file.has_value()) << file.error().to_string();
  ASSERT_EQ(file->tensors().size(), 2U);
  EXPECT_EQ(file->tensors()[0].name, "embed.weight");
  EXPECT_EQ(file->tensors()[1].name, "b\n");
  const auto tensor = file->find("embed.weight");
  ASSERT_TRUE(tensor.has_value());
  EXPECT_EQ(tensor->as<std::uint8_t>()->back(), 'y');
  EXPECT_TRUE(file->find("b\n")->shape().empty());
  EXPECT_FALSE(file->find("b\\n").has_value());
  EXPECT_EQ(file->metadata().front(), (std::pair<std::string, std::string>("format", "pt")));
  EXPECT_EQ(file->file_bytes(), content.size());
  EXPECT_EQ(file->path(), dir / "a.safetensors");
}

INSTANTIATE_TEST_SUITE_P(SafetensorsFile, BothBackings,
                         testing::Values(Backing::kMap, Backing::kCopy),
                         [](const testing::TestParamInfo<Backing>& row) {
                           return std::string(row.param == Backing::kMap ? "Map" : "Copy");
                         });

TEST(SafetensorsFile, ViewsSurviveMoves) {
  const TempDir dir;
  write_file(dir / "a.safetensors", safetensors(kTwo, 4));
  auto opened = SafetensorsFile::open(dir / "a.safetensors");
  ASSERT_TRUE(opened.has_value());
  SafetensorsFile first = std::move(*opened);
  const NamedTensor before = first.tensors()[1];
  const auto list = first.tensors();
  SafetensorsFile second = std::move(first);
  auto third = SafetensorsFile::from_bytes(as_bytes(""));
  EXPECT_FALSE(third.has_value());
  SafetensorsFile last = std::move(second);
  EXPECT_EQ(before.name, "b\n");
  EXPECT_EQ(last.tensors().data(), list.data());
  EXPECT_EQ(last.find("b\n")->bytes().data(), before.tensor.bytes().data());
}

TEST(SafetensorsFile, AliasesAreRemovedNamesOfKeptTensors) {
  const std::string content = safetensors(kTwo, 4);
  const auto file = SafetensorsFile::from_bytes(as_bytes(content));
  ASSERT_TRUE(file.has_value()) << file.error().to_string();
  ASSERT_EQ(file->aliases().size(), 1U);
  EXPECT_EQ(file->aliases()[0].removed, "lm_head.weight");
  EXPECT_EQ(file->aliases()[0].kept, "embed.weight");
}

TEST(SafetensorsFile, NamesTheFileInItsErrors) {
  const TempDir dir;
  write_file(dir / "a.safetensors", safetensors("{}", 1));
  const auto file = SafetensorsFile::open(dir / "a.safetensors");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().rule, "ST-7");
  EXPECT_EQ(file.error().path, (dir / "a.safetensors").string());
}

struct OtherThing {
  const char* name;
  std::string content;
  ErrorCode code;
  const char* rule;
};
void PrintTo(const OtherThing& row, std::ostream* out) { *out << row.name; }

class OtherThings : public testing::TestWithParam<OtherThing> {};

TEST_P(OtherThings, AreRefusedByContentWithEitherBacking) {
  const TempDir dir;
  write_file(dir / "adapter_model.safetensors", GetParam().content);
  for (const Backing backing : {Backing::kMap, Backing::kCopy}) {
    const auto file =
        SafetensorsFile::open(dir / "adapter_model.safetensors", {.backing = backing});
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code, GetParam().code);
    EXPECT_EQ(file.error().rule, GetParam().rule) << file.error().message;
  }
}

INSTANTIATE_TEST_SUITE_P(
    SafetensorsFile, OtherThings,
    testing::ValuesIn(std::vector<OtherThing>{
        {"LfsPointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345678\n",
         ErrorCode::kUnsupported, "ST-18"},
        {"HtmlPage", "<!DOCTYPE html>\n<html><body>Sign in</body></html>", ErrorCode::kUnsupported,
         "ST-18"},
        {"Gzip", std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10), ErrorCode::kUnsupported, "ST-18"},
        {"Pickle", "\x80\x02}q\x01.       ", ErrorCode::kUnsupported, "ST-18"},
        {"Zip", std::string("PK\x03\x04", 4) + std::string(60, '\0'), ErrorCode::kUnsupported,
         "ST-18"},
        {"Gguf", std::string("GGUF\x03\0\0\0\0\0\0\0", 12), ErrorCode::kUnsupported, "ST-18"},
        {"JsonText", "{\"peft_type\": \"LORA\"}", ErrorCode::kUnsupported, "ST-18"},
        {"EmptyFile", "", ErrorCode::kCorrupt, "ST-1"},
        {"ShortText", "hello", ErrorCode::kCorrupt, "ST-1"},
        {"LongNoise", std::string(5000, '\x01'), ErrorCode::kCorrupt, "ST-2"},
        {"LongZeros", std::string(5000, '\0'), ErrorCode::kCorrupt, "ST-4"},
        {"TruncatedHeader", safetensors(kTwo, 4).substr(0, 40), ErrorCode::kCorrupt, "ST-3"},
    }),
    [](const testing::TestParamInfo<OtherThing>& row) { return std::string(row.param.name); });

TEST(SafetensorsFile, FifosDirectoriesAndLoopsAreRefusedWithoutWaiting) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink(dir / "loop", dir / "loop");
  EXPECT_EQ(SafetensorsFile::open(dir / "fifo").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(SafetensorsFile::open(dir.path()).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(SafetensorsFile::open("/dev/zero").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(SafetensorsFile::open(dir / "loop").error().code, ErrorCode::kIo);
  EXPECT_EQ(SafetensorsFile::open(dir / "none").error().code, ErrorCode::kNotFound);
}

/// The bytes that a range names, read from its file.
std::string bytes_at(const FileRange& range) {
  return test::read_file(range.path).substr(range.offset, range.length);
}

std::string bytes_of(const TensorView& view) {
  return {reinterpret_cast<const char*>(view.bytes().data()), view.bytes().size()};
}

TEST(SafetensorsFile, ARangeIsWhereTheFileHasTheTensor) {
  const TempDir dir;
  // Read whole, mapped, and mapped with a header that is too long to be read.
  for (const auto& [data, padding] :
       {std::pair<std::size_t, std::size_t>{96, 0}, {200'000, 0}, {200'000, 150'000}}) {
    auto content = safetensors(
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[64],\"data_offsets\":[0,64]},"
        "\"none\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[64,64]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[" +
            std::to_string(data - 64) + "],\"data_offsets\":[64," + std::to_string(data) + "]}}" +
            std::string(padding, ' '),
        data);
    for (std::size_t i = content.size() - data; i < content.size(); ++i) {
      content[i] = static_cast<char>(i * 31);
    }
    write_file(dir / "f", content);
    for (const Backing backing : {Backing::kMap, Backing::kCopy}) {
      const auto file = SafetensorsFile::open(dir / "f", {.backing = backing});
      ASSERT_TRUE(file) << file.error().to_string();
      for (const auto& [name, tensor] : file->tensors()) {
        const auto range = file->range(name);
        ASSERT_TRUE(range) << name;
        EXPECT_EQ(range->path, dir / "f");
        EXPECT_EQ(range->length, tensor.bytes().size());
        EXPECT_EQ(bytes_at(*range), bytes_of(tensor)) << name;
        EXPECT_EQ(range->offset % range->alignment, 0U);
        EXPECT_NE(range->offset / range->alignment % 2, 0U);
      }
    }
    const auto in_memory = SafetensorsFile::from_bytes(as_bytes(content));
    ASSERT_TRUE(in_memory);
    const auto range = in_memory->range("b");
    ASSERT_TRUE(range);
    EXPECT_TRUE(range->path.empty());
    EXPECT_EQ(content.substr(range->offset, range->length), bytes_of(*in_memory->find("b")));
    EXPECT_EQ(in_memory->range("c").error().code, ErrorCode::kNotFound);
  }
}

}  // namespace
}  // namespace ferrule
