// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/quantized_weights.hpp"

namespace ferrule::model {

/// Recognizes one quantized weight by its main tensor, and checks that its tensors fit each other.
class QuantizedReader {
 public:
  QuantizedReader(const TensorSource& source, const Json& config);

  /// nullopt if the tensor is not the main tensor of a quantized weight.
  Result<std::optional<QuantizedWeight>> read(std::string_view name, const TensorView& tensor);
  /// The names of the tensors that the last weight is made of.
  std::vector<std::string> take_used() { return std::move(used_); }

 private:
  using Found = Result<std::optional<QuantizedWeight>>;

  Found gptq(std::string_view path, const TensorView& words);
  Found awq(std::string_view path, const TensorView& words);
  Found normal_float(std::string_view name, const TensorView& bytes);
  Found int8_rows(std::string_view name, const TensorView& values);
  Found scaled(std::string_view name, const TensorView& values, std::string_view scale_name);
  Found packed_ints(std::string_view path, const TensorView& words);
  Found fp4_groups(std::string_view name, std::string_view path, const TensorView& bytes);
  Found mxfp4_experts(std::string_view path, const TensorView& blocks);

  Result<void> read_quant_state(std::string_view name, QuantizedWeight& weight);
  Result<void> fit_grid(QuantizedWeight& weight, const TensorView& scale) const;
  /// A tensor next to the main one: nullptr if there is none, noted as used if there is.
  const TensorView* take(const std::string& name, std::string_view role, QuantizedWeight& weight);
  Result<const TensorView*> need(const std::string& name, std::string_view role,
                                 QuantizedWeight& weight);
  QuantizedWeight begin(std::string_view main, const TensorView& tensor, std::string_view plain,
                        Quantization kind, std::string_view format);

  const TensorSource& source_;
  const Json* quantization_ = nullptr;
  std::string method_;
  std::vector<std::string> used_;
};

/// An integer of the quantization's own fields.
std::optional<std::int64_t> quantization_integer(const Json* quantization, std::string_view field);

/// The bits of each value of compressed-tensors' packed integers, `in` of which are in `words`
/// words; 0 if neither the config nor the sizes tell.
unsigned packed_bits(const Json* quantization, std::uint64_t words, std::uint64_t in);

/// The rows and columns that share one scale: DeepSeek's weight_block_size, or the block_structure
/// of compressed-tensors; {0, 0} if the config has none.
std::array<std::uint64_t, 2> scale_block(const Json* quantization);

/// A quantized weight whose tensors do not fit each other (MG-11), or in a form that is not
/// followed (MG-6).
Error misfit(std::string_view name, const std::string& what);
Error unfollowed(std::string_view name, const std::string& what);

}  // namespace ferrule::model
