// SPDX-License-Identifier: Apache-2.0
// The stream of pickles and storages before torch 1.6.
#include <cstdint>
#include <string_view>
#include <vector>

#include "torch_file_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // What every legacy file starts with, so that the fuzzer need not find it.
  static constexpr std::string_view kStart(
      "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."
      "\x80\x02}X\x0d\0\0\0little_endian\x88s.",
      45);
  if (size > 65536) return 0;
  ferrule::fuzz::check_torch_file(std::as_bytes(std::span(data, size)));
  std::vector<std::byte> whole;
  for (const char c : kStart) whole.push_back(static_cast<std::byte>(c));
  for (std::size_t i = 0; i < size; ++i) whole.push_back(static_cast<std::byte>(data[i]));
  ferrule::fuzz::check_torch_file(whole);
  return 0;
}
