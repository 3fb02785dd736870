// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/json.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"

namespace ferrule::model {

/// How the tensors of a quantized weight make its values.
enum class Quantization : std::uint8_t {
  kScaled,        ///< FP8 or INT8 elements, and a grid of scales.
  kInt8Rows,      ///< bitsandbytes' LLM.int8: one maximum for each row.
  kNormalFloat,   ///< bitsandbytes' NF4 and FP4: blocks of the flat weight.
  kGptq,          ///< Words of one column, scales and zeros by group of rows.
  kAwq,           ///< Words of eight columns of one row, interleaved.
  kPackedInts,    ///< compressed-tensors' pack-quantized: dense bits of a row.
  kFp4Groups,     ///< NVFP4, and MXFP4 by rows: groups of a row.
  kMxfp4Experts,  ///< gpt-oss: blocks of 32 of each expert, transposed.
};

/// A weight that a checkpoint keeps quantized. Its tensors fit each other.
struct QuantizedWeight {
  std::string name;                  ///< Of the plain weight: "model.layers.0.mlp.up_proj.weight".
  std::vector<std::uint64_t> shape;  ///< Of the plain weight as a checkpoint in 16 bits has it.
  Quantization kind = Quantization::kScaled;
  std::string format;  ///< For messages: "GPTQ".
  /// The tensor with the elements.
  std::string main;
  /// By what they are: "weight", "scale", "zeros", "groups", "global", "code" and so on.
  std::map<std::string, TensorView, std::less<>> parts;

  unsigned bits = 0;
  std::uint64_t block_rows = 0;     ///< Of a scale, for kScaled.
  std::uint64_t block_columns = 0;  ///< Of a scale; elements of a block, for kNormalFloat.
  /// The dtype that the library computes in; F32 if it rounds only the result.
  Dtype arithmetic = Dtype::kF32;
  /// The second step of nested scales of bitsandbytes.
  std::uint64_t nested_block = 0;
  double nested_offset = 0;
  /// Zeros of GPTQ are stored less one; a scale of the whole tensor divides (compressed-tensors).
  bool zeros_less_one = false;
  bool global_divides = false;

  const TensorView* part(std::string_view role) const noexcept {
    const auto found = parts.find(role);
    return found == parts.end() ? nullptr : &found->second;
  }
};

/// The quantized weights of a checkpoint.
struct QuantizedModel {
  std::vector<QuantizedWeight> weights;
  /// Names of all tensors that a model in 16 bits does not have.
  std::vector<std::string> consumed;
};

/// Finds them by names, dtypes and shapes, and `config` (the model's config.json). Fails with
/// kUnsupported (MG-6) on formats that are not followed, and kCorrupt (MG-11) on tensors that do
/// not fit each other. Views point into `source`.
Result<QuantizedModel> find_quantized_weights(const TensorSource& source, const Json& config);

/// A source as its model in 16 bits would list it: quantized weights by their plain names and
/// shapes, without bytes. For what only looks at names and shapes.
class DequantizedNames final : public TensorSource {
 public:
  DequantizedNames(const TensorSource& source, const QuantizedModel& model);

  std::span<const NamedTensor> tensors() const& noexcept override { return tensors_; }
  std::optional<TensorView> find(std::string_view name) const& noexcept override;
  std::span<const TensorAlias> aliases() const& noexcept override { return source_.aliases(); }

 private:
  struct Plain {
    std::string name;
    std::vector<std::uint64_t> shape;
  };
  const TensorSource& source_;
  std::vector<Plain> plain_;
  std::vector<NamedTensor> tensors_;
};

}  // namespace ferrule::model
