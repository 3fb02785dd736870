// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapter/examine.hpp"
#include "ferrule/text.hpp"

namespace ferrule::adapter {
namespace {

/// As many times as it fits into 64 bits.
template <typename Bits>
constexpr std::uint64_t repeated(Bits lane) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < sizeof(word) / sizeof(Bits); ++i) {
    word |= std::uint64_t{lane} << (8 * sizeof(Bits) * i);
  }
  return word;
}

/// True if an element of `Bits` has all bits of `exponent` set: an infinity or a NaN. Several are
/// looked at at a time: the lowest bit of the exponent, added to it, carries into the sign only if
/// all of its bits are set, and never further.
template <typename Bits>
bool any_non_finite(std::span<const std::byte> bytes, Bits exponent) {
  const auto mask = repeated<Bits>(exponent);
  const auto lowest = repeated<Bits>(static_cast<Bits>(exponent & (~exponent + 1U)));
  const auto sign = repeated<Bits>(static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1)));
  constexpr std::size_t kBlock = 4096;
  const auto words = bytes.size() / sizeof(std::uint64_t);
  std::uint64_t word = 0;
  for (std::size_t at = 0; at < words; at += kBlock) {
    std::uint64_t sums = 0;
    for (std::size_t i = at; i < std::min(words, at + kBlock); ++i) {
      std::memcpy(&word, bytes.data() + i * sizeof(word), sizeof(word));
      sums |= (word & mask) + lowest;
    }
    if ((sums & sign) != 0) return true;
  }
  word = 0;
  const auto rest = bytes.subspan(words * sizeof(word));
  if (!rest.empty()) std::memcpy(&word, rest.data(), rest.size());
  return (((word & mask) + lowest) & sign) != 0;
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

/// The target that LILY groups a module by: the longest name it ends in, or the whole pattern.
std::string lily_target(const AdapterConfig& config, std::string_view path) {
  const auto targets = config.target_modules();
  std::string longest;
  if (!targets || targets->is_pattern) return longest;
  for (const auto& name : targets->names) {
    if (path.ends_with(name) && name.size() > longest.size()) longest = name;
  }
  return longest;
}

/// AD-22: PEFT makes lily_B of all modules of one target and shape one tensor, and lily_A of every
/// `stride_A` of them, for the first adapter of a model only.
std::optional<Finding> judge_lily(const AdapterConfig& config, const Examination& examination) {
  struct Group {
    std::size_t modules = 0;
    std::set<std::string_view> a;
    std::set<std::string_view> b;
  };
  const auto text_of = [](const TensorView& tensor) {
    return std::string_view(reinterpret_cast<const char*>(tensor.bytes().data()),
                            tensor.bytes().size());
  };
  std::map<std::pair<std::string, std::pair<std::uint64_t, std::uint64_t>>, Group> groups;
  for (const auto& module : examination.modules) {
    const auto a = module.tensor("lily_A");
    const auto b = module.tensor("lily_B");
    if (!a || !b || a->shape().size() != 2 || b->shape().size() != 2) continue;
    auto& group = groups[{lily_target(config, module.path()), {a->shape()[1], b->shape()[1]}}];
    ++group.modules;
    group.a.insert(text_of(*a));
    group.b.insert(text_of(*b));
  }
  const auto stride =
      static_cast<std::size_t>(std::max<std::int64_t>(1, config.integer("stride_A").value_or(1)));
  for (const auto& [key, group] : groups) {
    const auto blocks = (group.modules + stride - 1) / stride;
    if (group.b.size() <= 1 && group.a.size() <= blocks) continue;
    return Finding{.severity = Severity::kWarning,
                   .rule = "AD-22",
                   .path = {},
                   .key = key.first,
                   .message = "modules of target " + quote(key.first) + " have " +
                              std::to_string(group.b.size()) + " different lily_B and " +
                              std::to_string(group.a.size()) +
                              " lily_A, which PEFT shares among them on "
                              "loading: all will become the last one",
                   .advice =
                       "PEFT shares the factors of only the first Lily adapter of a model; train "
                       "this one in a model of its own"};
  }
  return std::nullopt;
}

}  // namespace

std::vector<Finding> examine_values(const AdapterConfig& config, const Examination& examination) {
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
  if (config.peft_type() == "LILY") {
    if (auto finding = judge_lily(config, examination)) out.push_back(*std::move(finding));
  }
  if (broken > 0) {
    out.push_back(
        {.severity = Severity::kWarning,
         .rule = "AD-20",
         .path = {},
         .key = std::string(first),
         .message = "tensor " + quote(first) +
                    (broken > 1 ? " and " + std::to_string(broken - 1) + " more hold" : " holds") +
                    " NaN or infinite values",
         .advice = "the training diverged"});
  }
  if (updates > 0 && zero == updates) {
    out.push_back(
        {.severity = Severity::kWarning,
         .rule = "AD-21",
         .path = {},
         .key = {},
         .message = "every lora_B is zero: the adapter changes nothing",
         .advice = "it was saved before it was trained, or the trained values were not gathered"});
  }
  return out;
}

}  // namespace ferrule::adapter
