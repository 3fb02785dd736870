// SPDX-License-Identifier: Apache-2.0
// Prompt learning saves the prompt as the encoder computes it at that moment, not the encoder's own
// tensors (PeftModel.get_prompt_embedding_to_save): P-tuning's MLP or LSTM, prefix projection's
// MLP, CPT's projected delta. Sums run in double and are rounded once.
#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "peft/method_tensors.hpp"
#include "peft/selection.hpp"

namespace ferrule::peft {
namespace {

struct Matrix {
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::vector<float> values;

  float& at(std::uint64_t row, std::uint64_t column) { return values[row * columns + column]; }
  float at(std::uint64_t row, std::uint64_t column) const { return values[row * columns + column]; }
};

Matrix zeros(std::uint64_t rows, std::uint64_t columns) {
  return {rows, columns, std::vector<float>(rows * columns)};
}

/// Reads the encoder's tensors by their names below `prompt_encoder.NAME.`.
class Encoder {
 public:
  explicit Encoder(const SelectionBuilder& builder)
      : builder_(builder), prefix_("prompt_encoder." + builder.adapter().name + ".") {}

  std::optional<TensorView> find(std::string_view name) const {
    return builder_.context().layout.find(prefix_ + std::string(name));
  }

  Error failure(std::string_view name, std::string_view what) const {
    return base::corrupt("KY-8", "adapter " + quote(builder_.adapter().name) + ": " +
                                     quote(prefix_ + std::string(name)) + " " + std::string(what));
  }

  /// A matrix, or a vector as one row.
  Result<Matrix> read(std::string_view name) const {
    const auto view = find(name);
    if (!view) return failure(name, "is not in the state dict");
    if (view->shape().empty() || view->shape().size() > 2)
      return failure(name, "is not 1-D or 2-D");
    auto values = to_floats(view->dtype(), view->bytes());
    if (!values) return failure(name, "is of a dtype that prompts are not computed in");
    const bool vector = view->shape().size() == 1;
    return Matrix{vector ? 1 : view->shape()[0], view->shape().back(), std::move(*values)};
  }

  /// x W^T + b.
  Result<Matrix> linear(const Matrix& x, const std::string& weight_name,
                        const std::string& bias_name) const {
    FERRULE_TRY(const Matrix weight, read(weight_name));
    FERRULE_TRY(const Matrix bias, read(bias_name));
    if (weight.columns != x.columns) return failure(weight_name, "does not fit its input");
    if (bias.columns != weight.rows) return failure(bias_name, "does not fit its weight");
    auto out = zeros(x.rows, weight.rows);
    for (std::uint64_t row = 0; row < x.rows; ++row) {
      for (std::uint64_t column = 0; column < weight.rows; ++column) {
        double sum = bias.values[column];
        for (std::uint64_t k = 0; k < x.columns; ++k) {
          sum += static_cast<double>(x.at(row, k)) * static_cast<double>(weight.at(column, k));
        }
        out.at(row, column) = static_cast<float>(sum);
      }
    }
    return out;
  }

  Result<Matrix> layer(const Matrix& x, const std::string& module) const {
    return linear(x, module + ".weight", module + ".bias");
  }

 private:
  const SelectionBuilder& builder_;
  std::string prefix_;
};

void relu(Matrix& x) {
  for (auto& value : x.values) value = std::max(value, 0.0F);
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// One direction of one LSTM layer (torch's gate order: input, forget, cell, output). `suffix` is
/// "l0", "l0_reverse" and so on. Writes its hidden states into columns `offset`... of `out`.
Result<void> lstm_direction(const Encoder& encoder, const Matrix& x, const std::string& suffix,
                            bool reverse, std::uint64_t offset, Matrix& out) {
  const std::string head = "lstm_head.";
  FERRULE_TRY(const Matrix gates,
              encoder.linear(x, head + "weight_ih_" + suffix, head + "bias_ih_" + suffix));
  const auto hidden = gates.columns / 4;
  auto state = zeros(1, hidden);
  std::vector<double> cell(hidden);
  for (std::uint64_t step = 0; step < x.rows; ++step) {
    const auto row = reverse ? x.rows - 1 - step : step;
    FERRULE_TRY(const Matrix recurrent,
                encoder.linear(state, head + "weight_hh_" + suffix, head + "bias_hh_" + suffix));
    if (recurrent.columns != gates.columns)
      return encoder.failure(head + "weight_hh_" + suffix, "does not fit its input");
    const auto gate = [&](std::uint64_t index, std::uint64_t unit) {
      return static_cast<double>(gates.at(row, index * hidden + unit)) +
             static_cast<double>(recurrent.values[index * hidden + unit]);
    };
    for (std::uint64_t unit = 0; unit < hidden; ++unit) {
      cell[unit] =
          sigmoid(gate(1, unit)) * cell[unit] + sigmoid(gate(0, unit)) * std::tanh(gate(2, unit));
    }
    for (std::uint64_t unit = 0; unit < hidden; ++unit) {
      const double value = sigmoid(gate(3, unit)) * std::tanh(cell[unit]);
      state.values[unit] = static_cast<float>(value);
      out.at(row, offset + unit) = static_cast<float>(value);
    }
  }
  return {};
}

Result<Matrix> lstm(const Encoder& encoder, Matrix x) {
  for (int index = 0;; ++index) {
    const auto suffix = "l" + std::to_string(index);
    const auto weight = encoder.find("lstm_head.weight_hh_" + suffix);
    if (!weight) return x;
    if (weight->shape().size() != 2)
      return encoder.failure("lstm_head.weight_hh_" + suffix, "is not 2-D");
    const auto hidden = weight->shape()[1];
    auto out = zeros(x.rows, 2 * hidden);
    FERRULE_CHECK(lstm_direction(encoder, x, suffix, false, 0, out));
    FERRULE_CHECK(lstm_direction(encoder, x, suffix + "_reverse", true, hidden, out));
    x = std::move(out);
  }
}

Result<Matrix> p_tuning(const Encoder& encoder, Matrix x) {
  if (encoder.find("lstm_head.weight_ih_l0")) {
    FERRULE_TRY(Matrix hidden, lstm(encoder, std::move(x)));
    FERRULE_TRY(Matrix middle, encoder.layer(hidden, "mlp_head.0"));
    relu(middle);
    return encoder.layer(middle, "mlp_head.2");
  }
  FERRULE_TRY(Matrix first, encoder.layer(x, "mlp_head.0"));
  relu(first);
  FERRULE_TRY(Matrix second, encoder.layer(first, "mlp_head.2"));
  relu(second);
  return encoder.layer(second, "mlp_head.4");
}

Result<Matrix> prefix_projection(const Encoder& encoder, const Matrix& x) {
  FERRULE_TRY(Matrix hidden, encoder.layer(x, "transform.0"));
  for (auto& value : hidden.values) value = std::tanh(value);
  return encoder.layer(hidden, "transform.2");
}

/// CPT bounds the norm of each token's delta by an epsilon that its type decides.
Result<Matrix> context_aware(const Encoder& encoder, const AdapterConfig& config, Matrix x) {
  FERRULE_TRY(Matrix delta, encoder.read("delta_embedding.weight"));
  if (delta.rows != x.rows || delta.columns != x.columns) {
    return encoder.failure("delta_embedding.weight", "does not have the embedding's shape");
  }
  const auto* mask = config.find("cpt_tokens_type_mask");
  const auto* types = mask != nullptr ? mask->if_array() : nullptr;
  const double scale = std::sqrt(static_cast<double>(x.columns) / 2048.0);
  const double format_epsilon =
      config.number("opt_projection_format_epsilon").value_or(0.1) * scale;
  const double input_epsilon = config.number("opt_projection_epsilon").value_or(0.1) * scale;
  for (std::uint64_t row = 0; row < x.rows; ++row) {
    double epsilon = 1e-10;
    const auto* type = types != nullptr && row < types->size() ? (*types)[row].if_int64() : nullptr;
    if (type != nullptr && *type > 0) {
      if (*type % 4 == 1 || *type % 4 == 3) epsilon = format_epsilon;
      if (*type % 4 == 2) epsilon = input_epsilon;
    }
    double norm = 0;
    for (std::uint64_t k = 0; k < x.columns; ++k) {
      norm += static_cast<double>(delta.at(row, k)) * static_cast<double>(delta.at(row, k));
    }
    norm = std::sqrt(norm);
    const double factor = norm > 0 ? epsilon / std::max(norm, epsilon) : 0.0;
    for (std::uint64_t k = 0; k < x.columns; ++k) {
      x.at(row, k) += static_cast<float>(static_cast<double>(delta.at(row, k)) * factor);
    }
  }
  return x;
}

Result<void> add_computed(SelectionBuilder& builder, const Encoder& encoder,
                          const std::function<Result<Matrix>(Matrix)>& compute) {
  const auto view = encoder.find("embedding.weight");
  FERRULE_TRY(Matrix embedding, encoder.read("embedding.weight"));
  FERRULE_TRY(const Matrix prompt, compute(std::move(embedding)));
  builder.add(from_floats("prompt_embeddings", view->dtype(), {prompt.rows, prompt.columns},
                          prompt.values));
  return {};
}

/// CARTRIDGE: the frozen rows, then the trainable ones.
Result<void> add_cartridge(SelectionBuilder& builder, const Encoder& encoder) {
  const auto trainable = encoder.find("trainable_embedding");
  if (!trainable) return encoder.failure("trainable_embedding", "is not in the state dict");
  const auto frozen = encoder.find("frozen_embedding");
  if (!frozen) {
    builder.add("prompt_embeddings", *trainable);
    return {};
  }
  if (frozen->dtype() != trainable->dtype() || frozen->shape().size() != 2 ||
      trainable->shape().size() != 2 || frozen->shape()[1] != trainable->shape()[1]) {
    return encoder.failure("frozen_embedding", "does not fit the trainable rows");
  }
  auto memory =
      std::make_shared<std::vector<std::byte>>(frozen->bytes().begin(), frozen->bytes().end());
  memory->insert(memory->end(), trainable->bytes().begin(), trainable->bytes().end());
  builder.add(
      TensorStream{.name = "prompt_embeddings",
                   .dtype = trainable->dtype(),
                   .shape = {frozen->shape()[0] + trainable->shape()[0], trainable->shape()[1]},
                   .bytes = *memory,
                   .owner = memory,
                   .read = {}});
  return {};
}

}  // namespace

Result<void> select_prompt(SelectionBuilder& builder) {
  const Encoder encoder(builder);
  const auto& config = builder.adapter().config;
  const auto& type = config.peft_type();
  if (type == "CARTRIDGE") return add_cartridge(builder, encoder);
  const auto embedding = encoder.find("embedding.weight");
  if (!embedding) return encoder.failure("embedding.weight", "is not in the state dict");
  if (type == "P_TUNING" && encoder.find("mlp_head.0.weight")) {
    return add_computed(builder, encoder,
                        [&](Matrix x) { return p_tuning(encoder, std::move(x)); });
  }
  if (type == "PREFIX_TUNING" && encoder.find("transform.0.weight")) {
    return add_computed(builder, encoder,
                        [&](const Matrix& x) { return prefix_projection(encoder, x); });
  }
  if (type == "CPT" && encoder.find("delta_embedding.weight")) {
    return add_computed(builder, encoder,
                        [&](Matrix x) { return context_aware(encoder, config, std::move(x)); });
  }
  builder.add("prompt_embeddings", *embedding);
  if (type == "MULTITASK_PROMPT_TUNING") {
    for (const auto* name : {"prefix_task_cols", "prefix_task_rows"}) {
      const auto view = encoder.find(name);
      if (!view) return encoder.failure(name, "is not in the state dict");
      builder.add(name, *view);
    }
  }
  return {};
}

}  // namespace ferrule::peft
