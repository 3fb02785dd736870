// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "adapter/examine.hpp"
#include "base/quote.hpp"

namespace ferrule {
namespace {

/// True where an element of `Bits` has all bits of `exponent` set: an infinity or a NaN. Written as
/// a reduction without exits, so that it becomes vector code.
template <typename Bits>
bool any_non_finite(std::span<const std::byte> bytes, Bits exponent) {
  constexpr std::size_t kBlock = 4096;
  for (std::size_t at = 0; at < bytes.size(); at += kBlock * sizeof(Bits)) {
    const auto count = std::min(kBlock, (bytes.size() - at) / sizeof(Bits));
    Bits hits = 0;
    for (std::size_t i = 0; i < count; ++i) {
      Bits value = 0;
      std::memcpy(&value, bytes.data() + at + i * sizeof(Bits), sizeof(Bits));
      hits |= static_cast<Bits>((value & exponent) == exponent);
    }
    if (hits != 0) return true;
  }
  return false;
}

bool non_finite(const TensorView& tensor) {
  switch (tensor.dtype()) {
    case Dtype::kF32:
      return any_non_finite<std::uint32_t>(tensor.bytes(), 0x7f800000U);
    case Dtype::kF16:
      return any_non_finite<std::uint16_t>(tensor.bytes(), 0x7c00U);
    case Dtype::kBF16:
      return any_non_finite<std::uint16_t>(tensor.bytes(), 0x7f80U);
    case Dtype::kF64:
      return any_non_finite<std::uint64_t>(tensor.bytes(), 0x7ff0000000000000U);
    default:
      return false;
  }
}

bool all_zero(const TensorView& tensor) {
  return std::all_of(tensor.bytes().begin(), tensor.bytes().end(),
                     [](std::byte byte) { return (byte & std::byte{0xff}) == std::byte{0}; });
}

}  // namespace

std::vector<Finding> examine_values(const Examination& examination) {
  std::vector<Finding> out;
  std::size_t broken = 0;
  std::size_t updates = 0;
  std::size_t zero = 0;
  std::string_view first;
  for (const auto& tensor : examination.tensors) {
    if (non_finite(tensor.tensor) && broken++ == 0) first = tensor.key;
    if (tensor.role == "lora_B" || tensor.role == "lora_embedding_A") {
      if (tensor.leaf == "bias") continue;
      ++updates;
      if (all_zero(tensor.tensor)) ++zero;
    }
  }
  if (broken > 0) {
    out.push_back({.severity = Severity::kWarning,
                   .rule = "AD-20",
                   .path = {},
                   .key = std::string(first),
                   .message = "tensor " + base::quote(first) +
                              (broken > 1 ? " and " + std::to_string(broken - 1) + " more hold" : " holds") +
                              " NaN or infinite values",
                   .advice = "the training diverged"});
  }
  if (updates > 0 && zero == updates) {
    out.push_back({.severity = Severity::kWarning,
                   .rule = "AD-21",
                   .path = {},
                   .key = {},
                   .message = "every lora_B is zero: the adapter changes nothing",
                   .advice = "it was saved before it was trained, or the trained values were not gathered"});
  }
  return out;
}

}  // namespace ferrule
