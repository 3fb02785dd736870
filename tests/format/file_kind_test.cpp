// SPDX-License-Identifier: Apache-2.0
#include "ferrule/file_kind.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "format/safetensors_bytes.hpp"

namespace ferrule {
namespace {

struct Head {
  const char* name;
  std::string bytes;
  FileKind kind;
};
void PrintTo(const Head& row, std::ostream* out) { *out << row.name; }

/// A zip whose first local header names `entry`.
std::string zip(std::string_view entry) {
  std::string head("PK\x03\x04", 4);
  head.append(22, '\0');
  head += static_cast<char>(entry.size());
  head.append(3, '\0');
  head += entry;
  return head + std::string(100, '\0');
}

std::string tar(std::string_view name) {
  std::string head(name);
  head.resize(257, '\0');
  return head + "ustar" + std::string(250, '\0');
}

class Heads : public testing::TestWithParam<Head> {};

TEST_P(Heads, AreRecognized) {
  const auto& [name, bytes, kind] = GetParam();
  EXPECT_EQ(recognize(test::as_bytes(bytes), bytes.size()), kind)
      << describe(recognize(test::as_bytes(bytes), bytes.size()));
  EXPECT_FALSE(describe(kind).empty());
}

INSTANTIATE_TEST_SUITE_P(
    Recognize, Heads,
    testing::ValuesIn(std::vector<Head>{
        {"Safetensors", test::safetensors("{}"), FileKind::kSafetensors},
        {"SafetensorsOfBrokenHeader", test::safetensors("{!"), FileKind::kSafetensors},
        {"Index", "{\n \"metadata\": {}, \"weight_map\": {", FileKind::kSafetensorsIndex},
        {"TorchZip", zip("archive/data.pkl"), FileKind::kTorchZip},
        {"TorchZipOfAnyRoot", zip("adapter_model/data.pkl"), FileKind::kTorchZip},
        {"TorchScript", zip("model/code/__torch__.py"), FileKind::kTorchScript},
        {"OtherZip", zip("word/document.xml"), FileKind::kZip},
        {"ZipOfOneFile", zip("a.txt"), FileKind::kZip},
        {"EmptyZip", std::string("PK\x05\x06", 4) + std::string(18, '\0'), FileKind::kZip},
        {"CutZip", std::string("PK\x03\x04", 4), FileKind::kZip},
        {"TorchLegacy",
         std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15),
         FileKind::kTorchLegacy},
        {"TorchTar", tar("sys_info"), FileKind::kTorchTar},
        {"Tar", tar("a/b.txt"), FileKind::kTar},
        {"Pickle", "\x80\x04\x95", FileKind::kPickle},
        {"TextPickle", "(dp0\nS'a'\n", FileKind::kPickle},
        {"PickleOfACall", "cos\nsystem\n(S'x'\ntR.", FileKind::kPickle},
        {"Gguf", "GGUF\x03", FileKind::kGguf},
        {"LfsPointer", "version https://git-lfs.github.com/spec/v1\noid", FileKind::kLfsPointer},
        {"Html", "\n <!DOCTYPE HTML><html>", FileKind::kHtml},
        {"HtmlOfLowerCase", "<html lang=en>", FileKind::kHtml},
        {"Json", "{\"a\":1}", FileKind::kJson},
        {"JsonArray", "[1,2]", FileKind::kJson},
        {"JsonBehindAMark", "\xef\xbb\xbf{\"a\":1}", FileKind::kJson},
        {"Gzip", "\x1f\x8b\x08", FileKind::kGzip},
        {"SevenZip", "7z\xbc\xaf\x27\x1c", FileKind::kSevenZip},
        {"Empty", "", FileKind::kEmpty},
        {"OneByte", "x", FileKind::kUnknown},
        {"Text", "hello world", FileKind::kText},
        {"Markdown", "# Title\r\n\r\nText \xc3\xa9\n", FileKind::kText},
        {"TextThenABell", "hello world\a", FileKind::kUnknown},
        {"BraceAtTheNinthByte", "textual {nothing}", FileKind::kText},
        {"Hdf5", "\x89HDF\r\n\x1a\n", FileKind::kHdf5},
        {"OnnxAdapter", std::string("\x14\0\0\0TORT\0\0", 10), FileKind::kOnnxAdapter},
        {"Numpy", "\x93NUMPY\x01", FileKind::kNumpy},
        {"Zeros", std::string(4096, '\0'), FileKind::kUnknown},
    }),
    [](const testing::TestParamInfo<Head>& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace ferrule
