// SPDX-License-Identifier: Apache-2.0
// Judges many safetensors files in one run, for tests that compare verdicts with the reference.
// Standard input: pieces of an eight-byte little-endian length and that many bytes. Standard
// output: one line each, "refused RULE", or "ok" and NAME:DTYPE:SHAPE:DATA of every tensor, sorted,
// names and data in hex. With the argument "rewrite" a line is "ok" and the hex of the file that
// our writer makes of the same tensors, handed to it in another order.
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/safetensors_file.hpp"
#include "ferrule/safetensors_writer.hpp"

namespace {

std::string hex(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) {
    const auto value = std::to_integer<unsigned>(byte);
    text += kDigits[value >> 4];
    text += kDigits[value & 15];
  }
  return text;
}

std::string verdict(std::span<const std::byte> bytes) {
  const auto file = ferrule::SafetensorsFile::from_bytes(bytes);
  if (!file) return "refused " + file.error().rule;
  std::vector<std::string> tensors;
  for (const auto& [name, tensor] : file->tensors()) {
    std::string line = hex(std::as_bytes(std::span(name))) + ":" +
                       std::string(ferrule::dtype_name(tensor.dtype())) + ":";
    for (const auto extent : tensor.shape()) line += std::to_string(extent) + ",";
    tensors.push_back(line + ":" + hex(tensor.bytes()));
  }
  std::sort(tensors.begin(), tensors.end());
  std::string line = "ok";
  for (const auto& tensor : tensors) line += " " + tensor;
  return line;
}

std::string rewritten(std::span<const std::byte> bytes) {
  const auto file = ferrule::SafetensorsFile::from_bytes(bytes);
  if (!file) return "refused " + file.error().rule;
  std::vector<ferrule::NamedTensor> tensors(file->tensors().begin(), file->tensors().end());
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& a, const auto& b) { return a.name > b.name; });
  const auto written = ferrule::serialize_safetensors(tensors, file->metadata());
  return written ? "ok " + hex(*written) : "refused " + written.error().rule;
}

}  // namespace

int main(int argc, char** argv) {
  const bool rewrite = argc > 1 && std::string_view(argv[1]) == "rewrite";
  const std::string input{std::istreambuf_iterator<char>(std::cin),
                          std::istreambuf_iterator<char>()};
  for (std::size_t at = 0; at < input.size();) {
    if (input.size() - at < 8) return 1;
    std::uint64_t length = 0;
    for (std::size_t i = 8; i-- > 0;) {
      length = length << 8 | static_cast<unsigned char>(input[at + i]);
    }
    at += 8;
    if (length > input.size() - at) return 1;
    // A copy of its own, so that a sanitizer sees a read past its end.
    const std::vector<char> piece(input.begin() + static_cast<std::ptrdiff_t>(at),
                                  input.begin() + static_cast<std::ptrdiff_t>(at + length));
    const auto bytes = std::as_bytes(std::span(piece));
    std::cout << (rewrite ? rewritten(bytes) : verdict(bytes)) << '\n';
    at += static_cast<std::size_t>(length);
  }
  return 0;
}
