// SPDX-License-Identifier: Apache-2.0
#include "peft/rank_padding.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/try.hpp"
#include "ferrule/dtype.hpp"
#include "peft/disk_key.hpp"
#include "peft/method.hpp"
#include "peft/strength.hpp"

namespace ferrule::peft {
namespace {

/// The two factors of a module. The rank is A's first dimension and B's second.
struct Factors {
  TensorStream* a = nullptr;
  TensorStream* b = nullptr;
};

/// A tensor as blocks of `outer` by `rank` by `inner` bytes.
struct Blocks {
  std::size_t outer = 1;
  std::size_t rank = 0;
  std::size_t inner = 0;
};

Blocks blocks_of(const TensorStream& tensor, std::size_t axis) {
  Blocks blocks{.outer = 1,
                .rank = static_cast<std::size_t>(tensor.shape[axis]),
                .inner = bit_width(tensor.dtype) / 8};
  for (std::size_t i = 0; i < axis; ++i) blocks.outer *= static_cast<std::size_t>(tensor.shape[i]);
  for (std::size_t i = axis + 1; i < tensor.shape.size(); ++i) {
    blocks.inner *= static_cast<std::size_t>(tensor.shape[i]);
  }
  return blocks;
}

bool is_zero_from(const TensorStream& tensor, std::size_t axis, std::size_t rank) {
  const auto blocks = blocks_of(tensor, axis);
  for (std::size_t block = 0; block < blocks.outer; ++block) {
    const auto past = tensor.bytes.subspan((block * blocks.rank + rank) * blocks.inner,
                                           (blocks.rank - rank) * blocks.inner);
    if (std::any_of(past.begin(), past.end(), [](std::byte b) { return b != std::byte{0}; })) {
      return false;
    }
  }
  return true;
}

void cut_rank(TensorStream& tensor, std::size_t axis, std::size_t rank) {
  const auto blocks = blocks_of(tensor, axis);
  auto memory = std::make_shared<std::vector<std::byte>>();
  memory->reserve(blocks.outer * rank * blocks.inner);
  for (std::size_t block = 0; block < blocks.outer; ++block) {
    const auto kept = tensor.bytes.subspan(block * blocks.rank * blocks.inner, rank * blocks.inner);
    memory->insert(memory->end(), kept.begin(), kept.end());
  }
  tensor.shape[axis] = rank;
  tensor.bytes = *memory;
  tensor.owner = std::move(memory);
}

bool has_axis(const TensorStream* tensor, std::size_t axis) {
  return tensor != nullptr && tensor->shape.size() > axis && !tensor->bytes.empty() &&
         bit_width(tensor->dtype) >= 8;
}

}  // namespace

Result<std::size_t> cut_rank_padding(const AdapterConfig& config, container::TensorPlan& tensors) {
  // Fused experts hold r rows for each expert, block-diagonal factors another number of columns.
  const auto* blocks = config.find("use_bdlora");
  if (config.peft_type() != "LORA" || !config.target_parameters().empty() ||
      (blocks != nullptr && !blocks->is_null())) {
    return std::size_t{0};
  }
  const auto* method = find_method("LORA");
  std::map<std::string, Factors, std::less<>> modules;
  for (auto& tensor : tensors) {
    const auto parsed = parse_disk_key(tensor.name, config, *method);
    if (parsed.kind != KeyKind::kMethod || parsed.leaf == "bias") continue;
    auto& factors = modules[std::string(base_path(parsed.module))];
    if (parsed.attribute == "lora_A" || parsed.attribute == "lora_embedding_A") factors.a = &tensor;
    if (parsed.attribute == "lora_B" || parsed.attribute == "lora_embedding_B") factors.b = &tensor;
  }
  FERRULE_TRY(const auto resolver, StrengthResolver::compile(config));
  std::size_t count = 0;
  for (auto& [path, factors] : modules) {
    if (!has_axis(factors.a, 0) || !has_axis(factors.b, 1)) continue;
    FERRULE_TRY(const auto resolved, resolver.resolve(path));
    if (!resolved.rank || *resolved.rank < 1) continue;
    const auto rank = static_cast<std::size_t>(*resolved.rank);
    const auto stored = factors.a->shape[0];
    if (stored <= rank || factors.b->shape[1] != stored) continue;
    if (!is_zero_from(*factors.a, 0, rank) || !is_zero_from(*factors.b, 1, rank)) continue;
    cut_rank(*factors.a, 0, rank);
    cut_rank(*factors.b, 1, rank);
    ++count;
  }
  return count;
}

}  // namespace ferrule::peft
