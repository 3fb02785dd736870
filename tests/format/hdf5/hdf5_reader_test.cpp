// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "format/hdf5/hdf5_file.hpp"

namespace ferrule::format {
namespace {

/// Two datasets in groups, filled with bytes that count up.
std::string two_datasets() {
  const std::vector<Hdf5Output> outputs = {
      {.path = "lora/9/vars/lora_kernel_a", .dtype = Dtype::kF32, .shape = {2, 3}, .bytes = 24},
      {.path = "lora/vars/rank", .dtype = Dtype::kI64, .shape = {}, .bytes = 8}};
  std::string file = frame_hdf5(outputs).value();
  for (const auto& output : outputs) {
    for (std::uint64_t k = 0; k < output.bytes; ++k) file.push_back(static_cast<char>(k));
  }
  return file;
}

Result<std::vector<Hdf5Dataset>> parse(const std::string& file) {
  return parse_hdf5(std::as_bytes(std::span(file)));
}

// tests/exchange/program_samples.py reads a file of keras-hub itself.
// EX-22
TEST(Hdf5Reader, NoShorterFileIsTaken) {
  const auto file = two_datasets();
  for (std::size_t size = 0; size < file.size(); ++size) {
    const auto parsed = parse(file.substr(0, size));
    ASSERT_FALSE(parsed) << size;
    EXPECT_EQ(parsed.error().rule, "EX-22") << size;
  }
}

// EX-22, EX-23
TEST(Hdf5Reader, AnyOneByteMayBeWrong) {
  const auto file = two_datasets();
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (const char value : {'\x01', '\xff'}) {
      auto wrong = file;
      wrong[at] = value;
      const auto parsed = parse(wrong);
      if (!parsed) {
        EXPECT_TRUE(parsed.error().rule == "EX-22" || parsed.error().rule == "EX-23") << at;
        continue;
      }
      for (const auto& dataset : *parsed) {
        const auto* first = reinterpret_cast<const char*>(dataset.bytes.data());
        if (dataset.bytes.empty()) continue;
        EXPECT_GE(first, wrong.data()) << at;
        EXPECT_LE(first + dataset.bytes.size(), wrong.data() + wrong.size()) << at;
      }
    }
  }
}

// A group that leads back to itself ends.
TEST(Hdf5Reader, GroupsThatLeadBackAreRefused) {
  auto file = two_datasets();
  const std::string root = file.substr(64, 8);
  // The entry of "lora" in the root's SNOD leads to the root's header.
  const auto tree = static_cast<std::size_t>(static_cast<unsigned char>(file[80])) |
                    static_cast<std::size_t>(static_cast<unsigned char>(file[81])) << 8U |
                    static_cast<std::size_t>(static_cast<unsigned char>(file[82])) << 16U;
  const auto node = file.rfind("SNOD", tree);
  ASSERT_NE(node, std::string::npos);
  file.replace(node + 16, 8, root);
  const auto parsed = parse(file);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().rule, "EX-22");
}

// EX-23: what h5py writes only if it is asked to.
TEST(Hdf5Reader, NewerSuperblocksAreRefusedByName) {
  auto file = two_datasets();
  file[8] = 2;
  const auto parsed = parse(file);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().rule, "EX-23");
}

}  // namespace
}  // namespace ferrule::format
