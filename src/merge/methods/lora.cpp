// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <string>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "merge/dense.hpp"
#include "merge/methods/decomposed.hpp"
#include "merge/methods/methods.hpp"
#include "merge/row_wise_step.hpp"

namespace ferrule::merging {
namespace {

using checks::LayerKind;

/// W' = (m / |W0 + delta|) * (W + delta), rows of W by output. W0 is the base's weight before any
/// adapter, as the unmerged layer takes it.
template <typename T>
Result<ChangeRows<T>> dora(const Site& site) {
  const bool embedding = site.module->find("lora_embedding_A") != nullptr;
  const auto& a_tensor = *site.module->find(embedding ? "lora_embedding_A" : "lora_A");
  const auto& b_tensor = *site.module->find(embedding ? "lora_embedding_B" : "lora_B");
  const auto rank = static_cast<std::size_t>(a_tensor.tensor.shape()[0]);
  return ChangeRows<T>(
      [a = Matrix<T>(rank, site.in(), numbers_of<T>(a_tensor.tensor)),
       b = numbers_of<T>(b_tensor.tensor), strength = site.strength,
       magnitude = numbers_of<T>(site.module->find("lora_magnitude_vector")->tensor)](
          std::size_t first, Matrix<T>& rows, const Matrix<T>& original) {
        const auto delta = product(b.data() + first * a.rows, rows.rows, a, strength);
        for (std::size_t i = 0; i < rows.rows; ++i) {
          double square = 0;
          for (std::size_t j = 0; j < rows.columns; ++j) {
            const double sum = original.at(i, j) + delta.at(i, j);
            square += sum * sum;
          }
          const T factor = magnitude[first + i] / static_cast<T>(std::sqrt(square));
          for (std::size_t j = 0; j < rows.columns; ++j) {
            rows.at(i, j) = factor * (rows.at(i, j) + delta.at(i, j));
          }
        }
      });
}

bool is_set(const AdapterConfig& config, std::string_view field) {
  const auto* value = config.find(field);
  return value != nullptr && !value->is_null() &&
         (value->if_bool() == nullptr || *value->if_bool());
}

/// Options under which PEFT cannot merge.
Result<void> refuse_variants(const Site& site) {
  const auto& config = site.config();
  for (const auto* field : {"arrow_config", "alora_invocation_tokens", "use_qalora"}) {
    if (is_set(config, field)) {
      return site.refuse("MG-1", "its config sets " + std::string(field) +
                                     ", which acts while the model runs and cannot be merged");
    }
  }
  if (is_set(config, "layer_replication")) {
    return site.refuse("MG-3",
                       "it was trained on a model whose layers were repeated "
                       "(layer_replication), which is not the base's model");
  }
  return {};
}

Strided along(const AdapterTensor& tensor, std::size_t vector, std::size_t element) {
  return {.tensor = tensor.tensor, .first = 0, .vector = vector, .element = element};
}

/// A factor that is stored without the zeros around its blocks.
template <typename T>
std::vector<T> block_diagonal(const AdapterTensor& tensor, std::size_t blocks) {
  const auto small = matrix_of<T>(tensor);
  const auto rows = small.rows / blocks;
  Matrix<T> out(small.rows, small.columns * blocks);
  for (std::size_t i = 0; i < small.rows; ++i) {
    for (std::size_t j = 0; j < small.columns; ++j) {
      out.at(i, i / rows * small.columns + j) = small.at(i, j);
    }
  }
  return std::move(out.values);
}

/// BD-LoRA: one of the factors may be block-diagonal.
Result<void> expand_blocks(const Site& site, const AdapterTensor& a, const AdapterTensor& b,
                           Factors& factors) {
  const auto rank = static_cast<std::size_t>(a.tensor.shape()[0]);
  const auto in = static_cast<std::size_t>(a.tensor.shape()[1]);
  const auto inner = static_cast<std::size_t>(b.tensor.shape()[1]);
  if (in == 0 || inner == 0 || site.in() % in != 0 || rank % inner != 0) {
    return site.refuse("BS-2", "its blocks do not fit the layer");
  }
  const auto a_blocks = site.in() / in;
  const auto b_blocks = rank / inner;
  if (rank % a_blocks != 0 || b.tensor.shape()[0] % b_blocks != 0) {
    return site.refuse("BS-2", "its blocks do not divide the factors");
  }
  factors.rounding = DeltaRounding::kDelta;
  if (a_blocks == 1 && b_blocks == 1) return {};
  const auto make = [&a, &b, a_blocks, b_blocks](auto& into_a, auto& into_b) -> Result<void> {
    using T = typename std::remove_reference_t<decltype(into_a)>::value_type;
    into_a = block_diagonal<T>(a, a_blocks);
    into_b = block_diagonal<T>(b, b_blocks);
    return {};
  };
  factors.make_float = make;
  factors.make_double = make;
  factors.a = [in = site.in()](std::size_t) {
    return Strided{.tensor = {}, .first = 0, .vector = in, .element = 1};
  };
  factors.b = [rank](std::size_t) {
    return Strided{.tensor = {}, .first = 0, .vector = 1, .element = rank};
  };
  return {};
}

/// KaSA: a diagonal between the factors, on the columns of B.
Result<void> put_diagonal(const Site& site, const AdapterTensor& a, const AdapterTensor& b,
                          Factors& factors) {
  FERRULE_TRY(const auto* diagonal, site.need("lora_diag"));
  const auto rank = factors.rank;
  if (diagonal->tensor.element_count() != rank) {
    return site.refuse("BS-2", "lora_diag does not fit lora_A");
  }
  const auto make = [&a, &b, diagonal, rank](auto& into_a, auto& into_b) -> Result<void> {
    using T = typename std::remove_reference_t<decltype(into_a)>::value_type;
    into_a = numbers_of<T>(a.tensor);
    into_b = numbers_of<T>(b.tensor);
    const auto values = numbers_of<T>(diagonal->tensor);
    for (std::size_t i = 0; i < into_b.size(); ++i) into_b[i] *= values[i % rank];
    return {};
  };
  factors.make_float = make;
  factors.make_double = make;
  factors.rounding = DeltaRounding::kDelta;
  return {};
}

Result<void> check_shapes(const Site& site, const AdapterTensor& a, const AdapterTensor& b) {
  const auto a_shape = a.tensor.shape();
  const auto b_shape = b.tensor.shape();
  const bool fits = a_shape.size() >= 2 && b_shape.size() >= 2;
  const bool grouped = fits && a_shape.size() > 2 && site.shape.size() > 2 &&
                       (a_shape[1] != site.shape[1] || a_shape[0] != b_shape[1]);
  if (grouped && site.kind == LayerKind::kConv) {
    return site.refuse("MG-3",
                       "the layer is a grouped convolution: its update mixes channels that the "
                       "layer's weight keeps apart, so it cannot be merged");
  }
  if (!fits || a_shape[0] != b_shape[1]) {
    return site.refuse("BS-2", "its factors do not fit each other");
  }
  if (a.tensor.element_count() != a_shape[0] * site.in() ||
      b.tensor.element_count() != b_shape[1] * site.out()) {
    return site.refuse("BS-2", "its factors do not fit the layer");
  }
  return {};
}

Result<SiteSteps> plan_dora(const Site& site, double strength) {
  if (site.undo) {
    return site.refuse("MG-9",
                       "DoRA cannot be undone: the norm of the unmerged weight is lost in merging");
  }
  FERRULE_TRY(const auto* magnitude, site.need("lora_magnitude_vector"));
  Site with = site;
  with.strength = strength;
  with.weight = 1;  // It is in the strength, as PEFT's scale_layer puts it.
  with.transposed = site.transposed || site.kind == LayerKind::kEmbedding;
  if (magnitude->tensor.element_count() != with.out()) {
    return site.refuse("BS-2", "lora_magnitude_vector does not fit the layer");
  }
  SiteSteps steps;
  steps.weight.push_back(
      row_wise_maker(with, {.needs_original = true, .narrow = dora<float>, .wide = dora<double>}));
  return steps;
}

}  // namespace

Result<SiteSteps> plan_lora(const Site& site) {
  FERRULE_CHECK(refuse_variants(site));
  const bool embedding = site.module->find("lora_embedding_A") != nullptr;
  FERRULE_TRY(const auto* a, site.need(embedding ? "lora_embedding_A" : "lora_A"));
  FERRULE_TRY(const auto* b, site.need(embedding ? "lora_embedding_B" : "lora_B"));
  const bool blocks = is_set(site.config(), "use_bdlora");
  Site seen = site;
  seen.transposed = site.transposed || embedding;
  if (!blocks) FERRULE_CHECK(check_shapes(seen, *a, *b));
  const double strength = site.strength * site.weight * (site.undo ? -1 : 1);
  SiteSteps steps;
  if (site.config().use_dora()) {
    FERRULE_TRY(steps, plan_dora(site, strength));
  } else {
    const auto rank = static_cast<std::size_t>(a->tensor.shape()[0]);
    Factors factors{.rank = rank,
                    .a = [a, in = seen.in()](std::size_t) { return along(*a, in, 1); },
                    .b = [b, rank](std::size_t) { return along(*b, 1, rank); },
                    .scale = strength,
                    .swapped = seen.transposed};
    if (embedding || site.config().text("init_lora_weights").value_or("") == "mica" ||
        site.attention != Attention::kNone) {
      factors.rounding = DeltaRounding::kDelta;
    }
    if (blocks) FERRULE_CHECK(expand_blocks(site, *a, *b, factors));
    FERRULE_TRY(steps.weight, residual_steps(site));
    if (is_set(site.config(), "kasa_config")) FERRULE_CHECK(put_diagonal(site, *a, *b, factors));
    steps.weight.push_back(low_rank_maker(factors));
    if (site.attention == Attention::kOutput) {
      // nn.MultiheadAttention's own wrapper adds the update to its output projection, and then lets
      // the projection's wrapper do it once more; the unmerged model does the same.
      factors.rounding = DeltaRounding::kNone;
      steps.weight.push_back(low_rank_maker(std::move(factors)));
    }
  }
  // Of nn.MultiheadAttention PEFT takes the input projections' weight only, live and merged.
  const auto* bias = site.module->find("lora_B.bias");
  if (bias != nullptr && site.attention != Attention::kInput) {
    if (!site.has_bias) {
      return site.refuse("MG-3",
                         "it has a bias (lora_bias), and the base's layer has none to merge "
                         "it into");
    }
    steps.bias.push_back(bias_adder(bias->tensor, strength));
  }
  return steps;
}

Result<SiteSteps> plan_adalora(const Site& site) {
  FERRULE_TRY(const auto* a, site.need("lora_A"));
  FERRULE_TRY(const auto* b, site.need("lora_B"));
  FERRULE_TRY(const auto* e, site.need("lora_E"));
  FERRULE_CHECK(check_shapes(site, *a, *b));
  const auto rank = static_cast<std::size_t>(a->tensor.shape()[0]);
  if (e->tensor.element_count() != rank) return site.refuse("BS-2", "lora_E does not fit lora_A");
  const auto make = [a, b, e, rank](auto& into_a, auto& into_b) -> Result<void> {
    using T = typename std::remove_reference_t<decltype(into_a)>::value_type;
    into_a = numbers_of<T>(a->tensor);
    into_b = numbers_of<T>(b->tensor);
    const auto diagonal = numbers_of<T>(e->tensor);
    const auto in = into_a.size() / std::max<std::size_t>(rank, 1);
    for (std::size_t i = 0; i < into_a.size(); ++i) into_a[i] *= diagonal[i / in];
    return {};
  };
  SiteSteps steps;
  steps.weight.push_back(
      low_rank_maker({.rank = rank,
                      .a =
                          [in = site.in()](std::size_t) {
                            return Strided{.tensor = {}, .first = 0, .vector = in, .element = 1};
                          },
                      .b =
                          [rank](std::size_t) {
                            return Strided{.tensor = {}, .first = 0, .vector = 1, .element = rank};
                          },
                      .make_float = make,
                      .make_double = make,
                      .scale = site.strength * site.weight * (site.undo ? -1 : 1),
                      .divisor = static_cast<double>(static_cast<float>(rank) + 1e-5F),
                      .swapped = site.transposed}));
  return steps;
}

}  // namespace ferrule::merging
