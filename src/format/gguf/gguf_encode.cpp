// SPDX-License-Identifier: Apache-2.0
// Keys are written in the types that llama.cpp asks for: texts, f32, u32, and arrays of u32.
#include <cstring>

#include "format/gguf/gguf_header.hpp"

namespace ferrule::format {
namespace {

class Encoder {
 public:
  template <typename T>
  void number(T value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    out_.insert(out_.end(), bytes, bytes + sizeof value);
  }

  void text(std::string_view value) {
    number<std::uint64_t>(value.size());
    const auto* bytes = reinterpret_cast<const std::byte*>(value.data());
    out_.insert(out_.end(), bytes, bytes + value.size());
  }

  void value(const GgufValue& value) {
    if (const auto* real = std::get_if<double>(&value)) {
      number<std::uint32_t>(6);
      number(static_cast<float>(*real));
    } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      number<std::uint32_t>(4);
      number(static_cast<std::uint32_t>(*integer));
    } else if (const auto* words = std::get_if<std::string>(&value)) {
      number<std::uint32_t>(8);
      text(*words);
    } else if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
      number<std::uint32_t>(9);
      number<std::uint32_t>(4);
      number<std::uint64_t>(list->size());
      for (const auto element : *list) number(static_cast<std::uint32_t>(element));
    } else {
      const auto* flag = std::get_if<bool>(&value);
      number<std::uint32_t>(7);
      number<std::uint8_t>(flag != nullptr && *flag ? 1 : 0);
    }
  }

  void pad() {
    while (out_.size() % kGgufAlignment != 0) out_.push_back(std::byte{0});
  }

  std::vector<std::byte> take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

}  // namespace

std::vector<std::byte> encode_gguf(std::span<const GgufKey> keys, std::span<GgufTensor> tensors) {
  Encoder encoder;
  for (const char letter : {'G', 'G', 'U', 'F'}) encoder.number(letter);
  encoder.number<std::uint32_t>(3);
  encoder.number<std::uint64_t>(tensors.size());
  encoder.number<std::uint64_t>(keys.size());
  for (const auto& key : keys) {
    encoder.text(key.name);
    encoder.value(key.value);
  }
  std::uint64_t at = 0;
  for (auto& tensor : tensors) {
    encoder.text(tensor.name);
    encoder.number(static_cast<std::uint32_t>(tensor.extents.size()));
    for (const auto extent : tensor.extents) encoder.number(extent);
    encoder.number(tensor.type);
    encoder.number(at);
    tensor.offset = at;
    at += (tensor.bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
  }
  encoder.pad();
  auto out = encoder.take();
  for (auto& tensor : tensors) tensor.offset += out.size();
  return out;
}

}  // namespace ferrule::format
