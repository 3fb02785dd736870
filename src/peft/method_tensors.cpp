// SPDX-License-Identifier: Apache-2.0
#include "peft/method_tensors.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "base/errors.hpp"
#include "base/float_convert.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::peft {
namespace {

TensorStream owned(std::string name, Dtype dtype, std::vector<std::uint64_t> shape,
                   std::vector<std::byte> bytes) {
  auto memory = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  return {.name = std::move(name),
          .dtype = dtype,
          .shape = std::move(shape),
          .bytes = *memory,
          .owner = memory,
          .read = {}};
}

std::vector<std::uint64_t> first(std::uint64_t count) {
  std::vector<std::uint64_t> indices(count);
  std::iota(indices.begin(), indices.end(), std::uint64_t{0});
  return indices;
}

TensorStream* find_planned(Selection& selection, std::string_view key) {
  for (auto& tensor : selection.tensors) {
    if (tensor.name == key) return &tensor;
  }
  return nullptr;
}

Error unfit(const SelectionBuilder& builder, std::string message) {
  return base::corrupt("KY-6",
                       "adapter " + quote(builder.adapter().name) + ": " + std::move(message));
}

// AdaLoRA ---------------------------------------------------------------------------------------

/// "PATH.lora_E.NAME" or "PATH.lora_E" -> "PATH.lora_E", dropping a `base_model.model.` too.
std::string pattern_key(std::string_view key, std::string_view name) {
  if (key.starts_with(kModelPrefix)) key.remove_prefix(kModelPrefix.size());
  const std::string tail = ".lora_E." + std::string(name);
  if (key.ends_with(tail)) key.remove_suffix(name.size() + 1);
  return std::string(key);
}

Result<void> keep_ranks(SelectionBuilder& builder, std::string_view path,
                        const std::vector<std::uint64_t>& kept, std::uint64_t ranks) {
  for (const auto* role : {"lora_E", "lora_A", "lora_B"}) {
    const auto key = std::string(kModelPrefix) + std::string(path) + "." + role;
    auto* tensor = find_planned(builder.selection(), key);
    const bool columns = std::string_view(role) == "lora_B";
    if (tensor == nullptr)
      return unfit(builder, "rank_pattern names " + quote(key) + ", which is not there");
    if (tensor->shape.size() != 2) return unfit(builder, quote(key) + " is not 2-D");
    const auto size = tensor->shape[columns ? 1 : 0];
    if (size == kept.size()) continue;
    if (size != ranks) {
      return unfit(builder, quote(key) + " has " + std::to_string(size) +
                                " ranks, rank_pattern has " + std::to_string(ranks) + " entries");
    }
    *tensor = columns ? take_rows_and_columns(*tensor, first(tensor->shape[0]), kept)
                      : take_rows_and_columns(*tensor, kept, first(tensor->shape[1]));
  }
  return {};
}

Result<void> apply_rank_pattern(SelectionBuilder& builder) {
  const auto* pattern = builder.adapter().config.find("rank_pattern");
  if (pattern == nullptr || pattern->if_object() == nullptr) return {};
  Json::Object cleaned;
  for (const auto& [key, mask] : *pattern->if_object()) {
    const auto clean = pattern_key(key, builder.adapter().name);
    const auto* flags = mask.if_array();
    if (flags == nullptr || !clean.ends_with(".lora_E")) {
      return unfit(builder,
                   "rank_pattern entry " + quote(key) + " is not a list of booleans for a lora_E");
    }
    std::vector<std::uint64_t> kept;
    for (std::size_t i = 0; i < flags->size(); ++i) {
      const auto* flag = (*flags)[i].if_bool();
      if (flag == nullptr)
        return unfit(builder,
                     "rank_pattern entry " + quote(key) + " holds something else than booleans");
      if (*flag) kept.push_back(i);
    }
    const auto path =
        std::string_view(clean).substr(0, clean.size() - std::string_view(".lora_E").size());
    FERRULE_CHECK(keep_ranks(builder, path, kept, flags->size()));
    cleaned.emplace_back(clean, mask);
  }
  return builder.selection().config.set("rank_pattern", Json(std::move(cleaned)));
}

// VB-LoRA ---------------------------------------------------------------------------------------

/// The dtype that PEFT gives to indices below `vectors`.
Dtype index_dtype(std::int64_t vectors) {
  if (vectors < 256) return Dtype::kU8;
  if (vectors < (1 << 15)) return Dtype::kI16;
  if (vectors < (std::int64_t{1} << 31)) return Dtype::kI32;
  return Dtype::kI64;
}

struct TopK {
  std::vector<std::byte> indices;
  std::vector<float> weights;
};

TopK top_k(std::span<const float> logits, std::uint64_t vectors, std::uint64_t k, Dtype dtype) {
  TopK out;
  const auto index_bytes = bit_width(dtype) / 8;
  std::vector<std::uint64_t> order(vectors);
  for (std::size_t row = 0; row + vectors <= logits.size(); row += vectors) {
    std::iota(order.begin(), order.end(), std::uint64_t{0});
    const auto values = logits.subspan(row, vectors);
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(),
                      [&](std::uint64_t a, std::uint64_t b) { return values[a] > values[b]; });
    float sum = 0;
    std::vector<float> exponentials(k);
    for (std::size_t i = 0; i < k; ++i) {
      exponentials[i] = std::exp(values[order[i]] - values[order[0]]);
      sum += exponentials[i];
      for (std::uint32_t byte = 0; byte < index_bytes; ++byte) {
        out.indices.push_back(static_cast<std::byte>((order[i] >> (8 * byte)) & 0xffU));
      }
    }
    for (std::size_t i = 0; i + 1 < k; ++i) out.weights.push_back(exponentials[i] / sum);
  }
  return out;
}

Result<void> keep_top_k(SelectionBuilder& builder) {
  const auto& config = builder.adapter().config;
  if (!config.flag("save_only_topk_weights")) return {};
  const auto k = config.integer("topk").value_or(2);
  container::TensorPlan plan;
  for (auto& tensor : builder.selection().tensors) {
    if (tensor.name.find(".vblora_logits_") == std::string::npos ||
        tensor.name.ends_with("_topk_indices") || tensor.name.ends_with("_topk_weights")) {
      plan.push_back(std::move(tensor));
      continue;
    }
    const auto values = to_floats(tensor.dtype, tensor.bytes);
    if (!values || tensor.shape.size() != 3 || k < 1 ||
        static_cast<std::uint64_t>(k) > tensor.shape[2]) {
      return unfit(builder, "the top " + std::to_string(k) + " of " + quote(tensor.name) +
                                " cannot be taken");
    }
    const auto vectors = tensor.shape[2];
    const auto dtype =
        index_dtype(config.integer("num_vectors").value_or(static_cast<std::int64_t>(vectors)));
    auto top = top_k(*values, vectors, static_cast<std::uint64_t>(k), dtype);
    auto shape = tensor.shape;
    shape[2] = static_cast<std::uint64_t>(k);
    plan.push_back(owned(tensor.name + "_topk_indices", dtype, shape, std::move(top.indices)));
    shape[2] -= 1;
    plan.push_back(from_floats(tensor.name + "_topk_weights", tensor.dtype, shape, top.weights));
  }
  builder.selection().tensors = std::move(plan);
  return {};
}

// Shared projections ----------------------------------------------------------------------------

struct Extent {
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  bool known = true;
};

/// The largest in and out features among the layers that the adapter adapts. How a weight is stored
/// is told by the class of its module or by the config, and better by the trained vector over the
/// output (`lambda_b`), where there is one.
Extent largest_layer(const SelectionBuilder& builder, std::string_view prefix) {
  Extent extent;
  for (const auto& path : builder.adapted()) {
    const auto weight = builder.context().layout.find(path + ".base_layer.weight");
    if (!weight || weight->shape().size() != 2) {
      extent.known = false;
      continue;
    }
    const auto& modules = builder.context().facts.modules;
    const auto module =
        modules.find(std::string_view(path).substr(std::min(path.size(), kModelPrefix.size())));
    bool transposed = module != modules.end() ? module->second == "Conv1D"
                                              : builder.adapter().config.flag("fan_in_fan_out");
    const auto lambda = builder.context().layout.find(path + "." + std::string(prefix) +
                                                      "lambda_b." + builder.adapter().name);
    if (lambda && lambda->shape().size() == 1 && weight->shape()[0] != weight->shape()[1]) {
      const auto out = lambda->shape()[0];
      if (out == weight->shape()[transposed ? 0 : 1]) transposed = !transposed;
    }
    extent.in = std::max(extent.in, weight->shape()[transposed ? 0 : 1]);
    extent.out = std::max(extent.out, weight->shape()[transposed ? 1 : 0]);
  }
  return extent;
}

/// The first `limits` entries of each of the three dimensions.
void cut(TensorStream& tensor, const std::array<std::uint64_t, 3>& limits) {
  const auto& shape = tensor.shape;
  std::array<std::uint64_t, 3> kept{};
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = std::min(limits[i], shape[i]);
  if (std::equal(kept.begin(), kept.end(), shape.begin())) return;
  const auto element = bit_width(tensor.dtype) / 8;
  std::vector<std::byte> bytes;
  bytes.reserve(kept[0] * kept[1] * kept[2] * element);
  for (std::uint64_t i = 0; i < kept[0]; ++i) {
    for (std::uint64_t j = 0; j < kept[1]; ++j) {
      const auto row =
          tensor.bytes.subspan((i * shape[1] + j) * shape[2] * element, kept[2] * element);
      bytes.insert(bytes.end(), row.begin(), row.end());
    }
  }
  tensor = owned(tensor.name, tensor.dtype, {kept.begin(), kept.end()}, std::move(bytes));
}

/// The same of a matrix.
void cut(TensorStream& tensor, std::uint64_t rows, std::uint64_t columns) {
  tensor.shape.insert(tensor.shape.begin(), 1);
  cut(tensor, {1, rows, columns});
  tensor.shape.erase(tensor.shape.begin());
}

/// VeRA, PVeRA, RandLoRA: a second adapter shares the first one's projection, which may be larger
/// than its own layers need; alone it loads only at its own size.
void cut_projections(SelectionBuilder& builder, std::string_view prefix) {
  const auto type = builder.adapter().config.peft_type();
  const auto others =
      std::count_if(builder.context().configs.begin(), builder.context().configs.end(),
                    [&](const NamedConfig& other) { return other.config.peft_type() == type; });
  if (others < 2) return;
  const auto extent = largest_layer(builder, prefix);
  if (!extent.known || builder.adapted().empty()) return;
  const bool random = type == "RANDLORA";
  const auto in = random ? std::min(extent.in, extent.out) : extent.in;
  const auto out = random ? std::max(extent.in, extent.out) : extent.out;
  const auto name_a = "." + std::string(prefix) + "A";
  const auto name_b = "." + std::string(prefix) + "B";
  for (auto& tensor : builder.selection().tensors) {
    const bool is_a = tensor.name.ends_with(name_a);
    if (!is_a && !tensor.name.ends_with(name_b)) continue;
    constexpr auto kAll = std::numeric_limits<std::uint64_t>::max();
    if (tensor.shape.size() == 2) {
      cut(tensor, is_a ? kAll : out, is_a ? in : kAll);
    } else if (tensor.shape.size() == 3) {
      // RandLoRA: A is [r, 1, in], B is [out, N, r], and a layer has as many bases as make its
      // update of full rank.
      const auto rank = is_a ? tensor.shape[0] : tensor.shape[2];
      const auto bases = rank == 0 ? kAll : (in + rank - 1) / rank;
      cut(tensor, is_a ? std::array{kAll, kAll, in} : std::array{out, bases, kAll});
    }
  }
}

Result<void> demand_projection(SelectionBuilder& builder, std::string_view attribute) {
  if (!builder.adapter().config.flag("save_projection")) return {};
  const auto key = "base_model." + std::string(attribute);
  if (builder.selection().tensors.empty() || builder.has(key)) return {};
  return unfit(builder, "save_projection is set, but the state has no " +
                            quote(key + "." + builder.adapter().name));
}

}  // namespace

TensorStream take_rows_and_columns(const TensorStream& tensor,
                                   const std::vector<std::uint64_t>& keep_rows,
                                   const std::vector<std::uint64_t>& keep_columns) {
  const auto element = bit_width(tensor.dtype) / 8;
  const auto width = tensor.shape[1] * element;
  std::vector<std::byte> bytes;
  bytes.reserve(keep_rows.size() * keep_columns.size() * element);
  for (const auto row : keep_rows) {
    for (const auto column : keep_columns) {
      const auto at = tensor.bytes.subspan(row * width + column * element, element);
      bytes.insert(bytes.end(), at.begin(), at.end());
    }
  }
  return owned(tensor.name, tensor.dtype, {keep_rows.size(), keep_columns.size()},
               std::move(bytes));
}

std::optional<std::vector<float>> to_floats(Dtype dtype, std::span<const std::byte> bytes) {
  const auto width = bit_width(dtype) / 8;
  std::vector<float> out;
  if (width == 0) return std::nullopt;
  out.reserve(bytes.size() / width);
  for (std::size_t at = 0; at + width <= bytes.size(); at += width) {
    std::uint16_t half = 0;
    float single = 0;
    double wide = 0;
    switch (dtype) {
      case Dtype::kF32:
        std::memcpy(&single, bytes.data() + at, 4);
        break;
      case Dtype::kF16:
        std::memcpy(&half, bytes.data() + at, 2);
        single = base::f16_to_float(half);
        break;
      case Dtype::kBF16:
        std::memcpy(&half, bytes.data() + at, 2);
        single = base::bf16_to_float(half);
        break;
      case Dtype::kF64:
        std::memcpy(&wide, bytes.data() + at, 8);
        single = static_cast<float>(wide);
        break;
      default:
        return std::nullopt;
    }
    out.push_back(single);
  }
  return out;
}

TensorStream from_floats(std::string name, Dtype dtype, std::vector<std::uint64_t> shape,
                         std::span<const float> values) {
  std::vector<std::byte> bytes(values.size() * (bit_width(dtype) / 8));
  auto* out = bytes.data();
  for (const float value : values) {
    const double wide = value;
    const std::uint16_t half =
        dtype == Dtype::kF16 ? base::float_to_f16(value) : base::float_to_bf16(value);
    const void* source = &value;
    if (dtype == Dtype::kF64) source = &wide;
    if (dtype == Dtype::kF16 || dtype == Dtype::kBF16) source = &half;
    std::memcpy(out, source, bit_width(dtype) / 8);
    out += bit_width(dtype) / 8;
  }
  return owned(std::move(name), dtype, std::move(shape), std::move(bytes));
}

Result<void> shape_method_tensors(SelectionBuilder& builder) {
  const auto& type = builder.adapter().config.peft_type();
  if (type == "ADALORA") return apply_rank_pattern(builder);
  if (type == "VBLORA") return keep_top_k(builder);
  if (type == "VERA" || type == "PVERA") {
    const std::string prefix = type == "VERA" ? "vera_" : "pvera_";
    FERRULE_CHECK(demand_projection(builder, prefix + "A"));
    FERRULE_CHECK(demand_projection(builder, prefix + "B"));
    cut_projections(builder, prefix);
  }
  if (type == "RANDLORA") cut_projections(builder, "randlora_");
  if (type == "ADAPTION_PROMPT") {
    const auto prompts = std::count_if(
        builder.context().configs.begin(), builder.context().configs.end(),
        [](const NamedConfig& other) { return other.config.peft_type() == "ADAPTION_PROMPT"; });
    if (prompts > 1) {
      builder.add_finding(
          Severity::kWarning, "KY-7", {},
          "a state dict holds the tensors of the active adaption prompt only, and does not "
          "say whose they are: they are taken for this adapter's");
    }
  }
  return {};
}

}  // namespace ferrule::peft
