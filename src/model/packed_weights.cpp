// SPDX-License-Identifier: Apache-2.0
#include "model/packed_weights.hpp"

#include <string_view>
#include <utility>

#include "base/checked.hpp"
#include "ferrule/dtype.hpp"

namespace ferrule::model {
namespace {

struct PackedName {
  std::string_view suffix;
  std::string_view format;
};

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
};

std::string text_of(const Json* object, std::string_view field) {
  const auto* value = object == nullptr ? nullptr : object->find(field);
  return value == nullptr || value->if_string() == nullptr ? std::string() : *value->if_string();
}

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

std::optional<std::vector<std::uint64_t>> gptq_or_awq(const TensorView& tensor,
                                                      const Json* quantization,
                                                      std::string& format) {
  const auto method = text_of(quantization, "quant_method");
  const auto each = per_word(quantization);
  const auto shape = tensor.shape();
  if (method == "gptq") format = "GPTQ";
  if (method == "awq") format = "AWQ";
  if (!each || shape.size() != 2) return std::nullopt;
  if (method == "gptq") {
    const auto layout = text_of(quantization, "checkpoint_format");
    if (!layout.empty() && layout != "gptq" && layout != "gptq_v2") return std::nullopt;
    const auto in = base::checked_mul(shape[0], *each);
    return in ? std::optional(std::vector{shape[1], *in}) : std::nullopt;
  }
  const auto version = text_of(quantization, "version");
  if (method == "awq" && (version.empty() || version == "gemm")) {
    const auto out = base::checked_mul(shape[1], *each);
    return out ? std::optional(std::vector{*out, shape[0]}) : std::nullopt;
  }
  return std::nullopt;
}

/// One byte or more an element: the shape is the weight's own.
std::optional<std::vector<std::uint64_t>> whole(const TensorView& tensor) {
  const bool packed = tensor.dtype() == Dtype::kU8 || tensor.dtype() == Dtype::kI32;
  if (packed || tensor.shape().size() != 2) return std::nullopt;
  return std::vector<std::uint64_t>(tensor.shape().begin(), tensor.shape().end());
}

}  // namespace

std::map<std::string, PackedWeight> find_packed_weights(const TensorSource& source,
                                                        const Json& config) {
  std::map<std::string, PackedWeight> out;
  const auto* quantization = config.find("quantization_config");
  for (const auto& [name, tensor] : source.tensors()) {
    for (const auto& [suffix, format] : kNames) {
      if (!name.ends_with(suffix)) continue;
      const std::string path(name.substr(0, name.size() - suffix.size()));
      PackedWeight weight{std::string(format), {}, {}};
      if (suffix == ".qweight") weight.shape = gptq_or_awq(tensor, quantization, weight.format);
      if (suffix == "._weight_qdata") weight.shape = whole(tensor);
      if (format == "bitsandbytes, 4 bits") {
        const auto bytes = source.find(path + ".weight");
        const auto count = bytes ? element_count(bytes->shape()) : std::nullopt;
        if (count && bytes->dtype() == Dtype::kU8) weight.elements = base::checked_mul(*count, 2);
      }
      out.insert_or_assign(path, std::move(weight));
      break;
    }
  }
  return out;
}

}  // namespace ferrule::model
