// SPDX-License-Identifier: Apache-2.0
// Structs of other releases: shorter, longer, and of a size that was never set.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "capi/c_api.hpp"

namespace ferrule {
namespace {

using test::golden;
using test::OpenedAdapter;
using test::sized;

/// A struct of a later release.
template <typename Struct>
struct Longer {
  Struct known;
  std::uint64_t later;
};

template <typename Struct>
Longer<Struct> longer(std::uint64_t later) {
  Longer<Struct> value = {};
  value.known.struct_size = sizeof(value);
  value.later = later;
  return value;
}

TEST(CStructs, ASizeThatNoReleaseHadIsRefusedAndNothingIsWritten) {
  const OpenedAdapter opened(golden("lora") / "expected");
  auto error = sized<ferrule_error>();
  for (const std::uint32_t size : {0U, 8U, 95U, 5000U, ~0U}) {
    ferrule_tensor tensor;
    std::memset(&tensor, 0x5a, sizeof tensor);
    tensor.struct_size = size;
    const auto before = tensor;
    EXPECT_EQ(ferrule_adapter_tensor(opened.handle, 0, &tensor, &error), FERRULE_INVALID_ARGUMENT);
    EXPECT_EQ(std::memcmp(&tensor, &before, sizeof tensor), 0);
    EXPECT_NE(std::string(error.message).find("struct_size of ferrule_tensor"), std::string::npos);

    ferrule_open_options options = {};
    options.struct_size = size;
    if (size != 95) {  // Longer than the options are now: of a later release.
      ferrule_adapter adapter = {};
      EXPECT_EQ(ferrule_adapter_open(".", &options, &adapter, &error), FERRULE_INVALID_ARGUMENT);
    }
  }
}

TEST(CStructs, AnErrorOfNoReleaseIsLeftAlone) {
  ferrule_error error;
  std::memset(&error, 0x5a, sizeof error);
  const auto before = error;
  ferrule_adapter adapter = {};
  EXPECT_EQ(ferrule_adapter_open((golden("lora") / "expected").c_str(), nullptr, &adapter, &error),
            FERRULE_INVALID_ARGUMENT);
  EXPECT_EQ(std::memcmp(&error, &before, sizeof error), 0);
  EXPECT_EQ(adapter.id, 0U);
}

TEST(CStructs, WhatALaterReleaseAddedIsLeftAsItWas) {
  const OpenedAdapter opened(golden("lora") / "expected");
  auto tensor = longer<ferrule_tensor>(17);
  ASSERT_EQ(ferrule_adapter_tensor(opened.handle, 0, &tensor.known, nullptr), FERRULE_OK);
  EXPECT_EQ(tensor.known.rank, 2U);
  EXPECT_EQ(tensor.known.struct_size, sizeof(tensor));
  EXPECT_EQ(tensor.later, 17U);
  auto error = longer<ferrule_error>(18);
  EXPECT_EQ(ferrule_adapter_tensor({0}, 0, &tensor.known, &error.known), FERRULE_INVALID_ARGUMENT);
  EXPECT_NE(error.known.message[0], '\0');
  EXPECT_EQ(error.later, 18U);
}

TEST(CStructs, AnOptionOfALaterReleaseIsRefusedOnlyIfItIsSet) {
  const auto folder = golden("lora") / "expected";
  auto error = sized<ferrule_error>();
  ferrule_adapter adapter = {};
  auto options = longer<ferrule_open_options>(0);
  ASSERT_EQ(ferrule_adapter_open(folder.c_str(), &options.known, &adapter, &error), FERRULE_OK);
  EXPECT_EQ(ferrule_adapter_close(adapter), FERRULE_OK);
  options.later = 1;
  EXPECT_EQ(ferrule_adapter_open(folder.c_str(), &options.known, &adapter, &error),
            FERRULE_UNSUPPORTED);
}

TEST(CStructs, LongTextsOfErrorsAreCutAtCharacters) {
  auto error = sized<ferrule_error>();
  ferrule_adapter adapter = {};
  std::string path = "/x";
  for (int i = 0; i < 600; ++i) path += "\xc3\xa4";  // One character of two bytes.
  ASSERT_NE(ferrule_adapter_open(path.c_str(), nullptr, &adapter, &error), FERRULE_OK);
  const std::string told = error.path;
  EXPECT_EQ(told.size(), 1022U);
  EXPECT_EQ(told, path.substr(0, told.size()));
}

}  // namespace
}  // namespace ferrule
