// SPDX-License-Identifier: Apache-2.0
#include "model/packed_weights.hpp"

#include <span>
#include <string_view>
#include <utility>

#include "base/checked.hpp"
#include "ferrule/dtype.hpp"
#include "model/quantization.hpp"

namespace ferrule::model {
namespace {

struct PackedName {
  std::string_view suffix;
  std::string_view format;
};

// The direction, whose shape is the weight's; the norms are next to it.
constexpr std::string_view kWeightNorm = "weight norm";
constexpr std::string_view kParametrized = ".parametrizations.weight.original1";
constexpr std::string_view kOldWeightNorm = ".weight_v";

constexpr PackedName kNames[] = {
    {".Wf.qweight", "EETQ"},
    {".qweight", "GPTQ or AWQ"},
    {".weight.quant_state.bitsandbytes__nf4", "bitsandbytes, 4 bits"},
    {".weight.quant_state.bitsandbytes__fp4", "bitsandbytes, 4 bits"},
    {".weight.absmax", "bitsandbytes, 4 bits"},
    {".weight_packed", "compressed-tensors"},
    {".gate_up_proj_blocks", "MXFP4"},
    {".down_proj_blocks", "MXFP4"},
    {".W_q", "HQQ"},
    {"._weight_qdata", "torchao"},
    {".weight._data", "quanto"},
    {".weight._data._data", "quanto"},
    {".codebooks", "AQLM"},
    {".centroids.weight", "VPTQ"},
    {".Qidxs", "QuIP#"},
    {kParametrized, kWeightNorm},
    {kOldWeightNorm, kWeightNorm},
};

/// Values of `bits` bits in each element of 32: nullopt for bits that do not divide it.
std::optional<std::uint64_t> per_word(const Json* quantization) {
  for (const auto* field : {"bits", "w_bit"}) {
    const auto* value = quantization == nullptr ? nullptr : quantization->find(field);
    const auto* bits = value == nullptr ? nullptr : value->if_int64();
    if (bits != nullptr && *bits > 0 && 32 % *bits == 0) {
      return static_cast<std::uint64_t>(32 / *bits);
    }
  }
  return std::nullopt;
}

using Extents = std::vector<std::uint64_t>;

/// By the tensors next to it: `scales` has a column for each output, `g_idx` an entry for each
/// input.
std::optional<Extents> shape_by_neighbors(const TensorSource& source, const std::string& path,
                                          std::span<const std::uint64_t> packed,
                                          std::optional<std::uint64_t> each, std::string& format) {
  const auto scales = source.find(path + ".scales");
  if (!scales || scales->shape().size() != 2) return std::nullopt;
  const auto out = scales->shape()[1];
  if (packed[1] == out) {
    const auto inputs = source.find(path + ".g_idx");
    format = "GPTQ";
    if (inputs && inputs->shape().size() == 1) return Extents{out, inputs->shape()[0]};
    const auto in = each ? base::checked_mul(packed[0], *each) : std::nullopt;
    return in ? std::optional(Extents{out, *in}) : std::nullopt;
  }
  if (packed[1] == 0 || out % packed[1] != 0) return std::nullopt;
  format = "AWQ";
  return Extents{out, packed[0]};
}

std::optional<Extents> gptq_or_awq(const TensorSource& source, const std::string& path,
                                   const TensorView& tensor, const Json* quantization,
                                   std::string& format) {
  const auto method = quantization_text(quantization, "quant_method");
  const auto each = per_word(quantization);
  const auto shape = tensor.shape();
  if (method == "gptq") format = "GPTQ";
  if (method == "awq") format = "AWQ";
  if (method == "gptq") {
    const auto layout = quantization_text(quantization, "checkpoint_format");
    if (!layout.empty() && layout != "gptq" && layout != "gptq_v2") return std::nullopt;
  }
  if (method == "awq") {
    const auto version = quantization_text(quantization, "version");
    if (!version.empty() && version != "gemm" && version != "GEMM") return std::nullopt;
  }
  if (shape.size() != 2) return std::nullopt;
  if (each && (method == "gptq" || method == "awq")) {
    const auto whole = base::checked_mul(shape[method == "gptq" ? 0 : 1], *each);
    if (!whole) return std::nullopt;
    return method == "gptq" ? Extents{shape[1], *whole} : Extents{*whole, shape[0]};
  }
  return shape_by_neighbors(source, path, shape, each, format);
}

/// Elements of several values: their count is not the weight's.
bool is_packed(Dtype dtype) noexcept { return dtype == Dtype::kU8 || dtype == Dtype::kI32; }

/// One byte or more an element: the shape is the weight's own.
std::optional<Extents> whole(const TensorView& tensor) {
  if (is_packed(tensor.dtype()) || tensor.shape().size() != 2) return std::nullopt;
  return Extents(tensor.shape().begin(), tensor.shape().end());
}

bool has_norms(const TensorSource& source, const std::string& path, std::string_view suffix) {
  return source
      .find(path + (suffix == kParametrized ? ".parametrizations.weight.original0" : ".weight_g"))
      .has_value();
}

PackedWeight describe(const TensorSource& source, const std::string& path, const TensorView& tensor,
                      const PackedName& name, const Json* quantization) {
  PackedWeight weight{.format = std::string(name.format), .shape = {}, .elements = {}};
  if (name.format == kWeightNorm) {
    weight.quantized = false;
    weight.shape.emplace(tensor.shape().begin(), tensor.shape().end());
  }
  if (name.suffix == ".qweight") {
    weight.shape = gptq_or_awq(source, path, tensor, quantization, weight.format);
  }
  if (name.suffix == "._weight_qdata" || name.suffix == ".weight._data") {
    weight.shape = whole(tensor);
  }
  if (name.format == "bitsandbytes, 4 bits") {
    const auto bytes = source.find(path + ".weight");
    const auto count = bytes ? element_count(bytes->shape()) : std::nullopt;
    if (count && bytes->dtype() == Dtype::kU8) weight.elements = base::checked_mul(*count, 2);
  }
  return weight;
}

}  // namespace

std::map<std::string, PackedWeight> find_packed_weights(const TensorSource& source,
                                                        const Json& config) {
  constexpr std::string_view kWeight = ".weight";
  std::map<std::string, PackedWeight> out;
  const auto* quantization = quantization_of(config);
  for (const auto& [name, tensor] : source.tensors()) {
    for (const auto& entry : kNames) {
      if (!name.ends_with(entry.suffix)) continue;
      const std::string path(name.substr(0, name.size() - entry.suffix.size()));
      if (entry.format == kWeightNorm && !has_norms(source, path, entry.suffix)) break;
      out.insert_or_assign(path, describe(source, path, tensor, entry, quantization));
      break;
    }
    // NVFP4, BitNet, EETQ and others pack values under the weight's own name.
    const bool turned =
        quantization_text(quantization, "quant_method") == "eetq" && tensor.dtype() == Dtype::kI8;
    if (name.ends_with(kWeight) && (is_packed(tensor.dtype()) || turned)) {
      auto format = quantization_format(quantization);
      if (format.empty()) format = "packed integers";
      out.emplace(std::string(name.substr(0, name.size() - kWeight.size())),
                  PackedWeight{.format = std::move(format), .shape = {}, .elements = {}});
    }
  }
  return out;
}

}  // namespace ferrule::model
