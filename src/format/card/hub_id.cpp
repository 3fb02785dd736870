// SPDX-License-Identifier: Apache-2.0
#include "format/card/hub_id.hpp"

#include <algorithm>
#include <array>

namespace ferrule::format {
namespace {

constexpr std::size_t kMaxNameLength = 96;

bool is_word(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_segment(std::string_view text) noexcept {
  if (text.empty() || text.size() > kMaxNameLength) return false;
  if (!is_word(text.front()) || !is_word(text.back())) return false;
  if (text.find("--") != std::string_view::npos || text.find("..") != std::string_view::npos) {
    return false;
  }
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

bool ends_with(std::string_view text, std::string_view end) noexcept {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

/// "checkpoint-500": what transformers' Trainer calls the folders it writes.
bool is_checkpoint_folder(std::string_view text) noexcept {
  constexpr std::string_view kPrefix = "checkpoint-";
  return text.substr(0, kPrefix.size()) == kPrefix && text.size() > kPrefix.size() &&
         text.find_first_not_of("0123456789", kPrefix.size()) == std::string_view::npos;
}

}  // namespace

bool is_hub_id(std::string_view name) noexcept {
  const auto slash = name.find('/');
  const std::string_view last = slash == std::string_view::npos ? name : name.substr(slash + 1);
  if (slash != std::string_view::npos && !is_segment(name.substr(0, slash))) return false;
  if (!is_segment(last) || is_checkpoint_folder(last)) return false;
  constexpr std::array<std::string_view, 9> kFileEndings = {
      ".git", ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".json", ".onnx"};
  return std::none_of(kFileEndings.begin(), kFileEndings.end(),
                      [&](std::string_view end) { return ends_with(last, end); });
}

}  // namespace ferrule::format
