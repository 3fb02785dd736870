// SPDX-License-Identifier: Apache-2.0
// Methods that compute an update from the weight or from a few blocks: MiSS, DEFT, DeLoRA, GraLoRA,
// HiRA.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "base/try.hpp"
#include "merge/dense.hpp"
#include "merge/methods/methods.hpp"
#include "merge/singular.hpp"

namespace ferrule::merging {
namespace {

/// One value for each row of a block and each column of the layer, repeated along the inputs.
template <typename T>
Result<void> miss(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& /*weight*/,
                  const Matrix<T>& /*original*/, Matrix<T>& out) {
  const auto block = matrix_of<T>(*site.module->find("miss_block"));
  if (block.rows == 0 || block.columns == 0) return site.refuse("BS-2", "miss_block is empty");
  for (std::size_t i = 0; i < out.rows; ++i) {
    for (std::size_t j = 0; j < out.columns; ++j) {
      out.at(i, j) = block.at(j % block.rows, i % block.columns);
    }
  }
  return {};
}

/// W B + B for each square block of W, or back: (W - B) (I + B)^-1.
template <typename T>
Result<void> miss_bat(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& weight,
                      const Matrix<T>& /*original*/, Matrix<T>& out) {
  const auto& tensor = *site.module->find("miss_block");
  const auto r = extent(tensor, 2);
  const auto values = numbers_of<T>(tensor.tensor);
  for (std::size_t bi = 0; bi < weight.rows / r; ++bi) {
    const Matrix<T> block(
        r, r,
        std::vector<T>(values.begin() + static_cast<std::ptrdiff_t>(bi * r * r),
                       values.begin() + static_cast<std::ptrdiff_t>((bi + 1) * r * r)));
    auto sum = block;
    for (std::size_t k = 0; k < r; ++k) sum.at(k, k) += 1;
    for (std::size_t bj = 0; bj < weight.columns / r; ++bj) {
      Matrix<T> part(r, r);
      for (std::size_t i = 0; i < r; ++i) {
        for (std::size_t j = 0; j < r; ++j) part.at(i, j) = weight.at(bi * r + i, bj * r + j);
      }
      Matrix<T> made;
      if (site.undo) {
        auto rest = part;
        for (std::size_t i = 0; i < rest.values.size(); ++i) rest.values[i] -= block.values[i];
        auto solved = solve_right(sum, rest);
        if (!solved) return site.refuse("MG-9", "its block cannot be inverted");
        made = std::move(*solved);
      } else {
        made = multiply(part, block);
        for (std::size_t i = 0; i < made.values.size(); ++i) {
          made.values[i] += block.values[i];
          made.values[i] += part.values[i];
        }
      }
      for (std::size_t i = 0; i < r; ++i) {
        for (std::size_t j = 0; j < r; ++j) out.at(bi * r + i, bj * r + j) = made.at(i, j);
      }
    }
  }
  return {};
}

template <typename T>
Result<void> deft(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& /*weight*/,
                  const Matrix<T>& original, Matrix<T>& out) {
  auto left = matrix_of<T>(*site.module->find("deft_P"));
  if (left.rows != original.rows) return site.refuse("BS-2", "deft_P does not fit the layer");
  const auto method = site.config().text("decomposition_method").value_or("relu");
  auto right = left;
  if (method == "qr") {
    left = right = orthonormal(left);
  } else {
    for (auto& value : right.values) value = std::max(value, T(0));
  }
  auto factor = multiply(transposed(right), original);
  const auto* kept = site.module->find("deft_R");
  if (kept == nullptr) {
    scale(factor, T(-1));
  } else {
    const auto r = matrix_of<T>(*kept);
    if (r.values.size() != factor.values.size()) {
      return site.refuse("BS-2", "deft_R does not fit the layer");
    }
    // PEFT has no more ranks than the layer has outputs, and divides by those that there are.
    const double alpha = site.config().number("alpha").value_or(0);
    const auto strength =
        static_cast<T>(alpha != 0 ? alpha / static_cast<double>(left.columns) : site.strength);
    for (std::size_t i = 0; i < r.values.size(); ++i) {
      factor.values[i] = r.values[i] * strength - factor.values[i];
    }
  }
  out = multiply(left, factor);
  return {};
}

template <typename T>
Result<void> delora(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& /*weight*/,
                    const Matrix<T>& original, Matrix<T>& out) {
  auto a = matrix_of<T>(*site.module->find("delora_A"));
  const auto b = matrix_of<T>(*site.module->find("delora_B"));
  const auto lambda = numbers_of<T>(site.module->find("delora_lambda")->tensor);
  if (a.columns != original.columns || b.rows != original.rows || a.rows != b.columns ||
      lambda.empty()) {
    return site.refuse("BS-2", "its factors do not fit the layer");
  }
  std::vector<T> norms;
  if (const auto* kept = site.module->find("delora_w_norm")) {
    norms = numbers_of<T>(kept->tensor);
  } else {
    norms.resize(original.columns);
    for (std::size_t j = 0; j < original.columns; ++j) {
      double square = 0;
      for (std::size_t i = 0; i < original.rows; ++i) {
        const auto value = static_cast<double>(original.at(i, j));
        square += value * value;
      }
      norms[j] = static_cast<T>(std::sqrt(square));
    }
  }
  if (norms.size() != a.columns) return site.refuse("BS-2", "delora_w_norm does not fit the layer");
  const auto rank = static_cast<T>(a.rows);
  for (std::size_t k = 0; k < a.rows; ++k) {
    double of_a = 0, of_b = 0;
    for (std::size_t j = 0; j < a.columns; ++j) {
      of_a += static_cast<double>(a.at(k, j)) * static_cast<double>(a.at(k, j));
    }
    for (std::size_t i = 0; i < b.rows; ++i) {
      of_b += static_cast<double>(b.at(i, k)) * static_cast<double>(b.at(i, k));
    }
    const T an = std::max(static_cast<T>(std::sqrt(of_a)), T(1e-4));
    const T bn = std::max(static_cast<T>(std::sqrt(of_b)), T(1e-4));
    const T factor = lambda[0] / rank / (an * bn);
    for (std::size_t j = 0; j < a.columns; ++j) a.at(k, j) *= factor;
  }
  out = multiply(b, a);
  for (std::size_t i = 0; i < out.rows; ++i) {
    for (std::size_t j = 0; j < out.columns; ++j) out.at(i, j) *= norms[j];
  }
  return {};
}

template <typename T>
Result<void> gralora(const Site& site, const Rounding& /*rounding*/, const Matrix<T>& /*weight*/,
                     const Matrix<T>& /*original*/, Matrix<T>& out) {
  const auto& a_tensor = *site.module->find("gralora_A");
  const auto& b_tensor = *site.module->find("gralora_B");
  const auto blocks = extent(a_tensor, 0);
  const auto in = extent(a_tensor, 1);
  const auto rank = extent(a_tensor, 2);
  const auto part = extent(b_tensor, 2);
  if (blocks * in != out.columns || blocks * part != out.rows || rank % blocks != 0 ||
      extent(b_tensor, 0) != blocks || extent(b_tensor, 1) != rank) {
    return site.refuse("BS-2", "its factors do not fit the layer");
  }
  const auto a = numbers_of<T>(a_tensor.tensor);  // [blocks, in, rank]
  const auto b = numbers_of<T>(b_tensor.tensor);  // [blocks, rank, part]
  const auto share = rank / blocks;
  for (std::size_t row = 0; row < out.rows; ++row) {
    const auto k = row / part;
    const auto o = row % part;
    for (std::size_t column = 0; column < out.columns; ++column) {
      const auto n = column / in;
      T sum = 0;
      for (std::size_t s = 0; s < share; ++s) {
        sum += a[(n * in + column % in) * rank + k * share + s] *
               b[(k * rank + n * share + s) * part + o];
      }
      out.at(row, column) = sum;
    }
  }
  const auto* general_a = site.module->find("gralora_A_general");
  const auto* general_b = site.module->find("gralora_B_general");
  if (general_a != nullptr && general_b != nullptr) {
    const auto more = multiply(matrix_of<T>(*general_b), matrix_of<T>(*general_a));
    if (more.values.size() != out.values.size()) {
      return site.refuse("BS-2", "its general factors do not fit the layer");
    }
    for (std::size_t i = 0; i < more.values.size(); ++i) out.values[i] += more.values[i];
  }
  scale(out, static_cast<T>(site.strength));
  return {};
}

template <typename T>
Result<void> hira(const Site& site, const Rounding& rounding, const Matrix<T>& /*weight*/,
                  const Matrix<T>& original, Matrix<T>& out) {
  const bool embedding = site.module->find("hira_embedding_A") != nullptr;
  auto delta =
      multiply(matrix_of<T>(*site.module->find(embedding ? "hira_embedding_B" : "hira_B")),
               matrix_of<T>(*site.module->find(embedding ? "hira_embedding_A" : "hira_A")));
  if (delta.values.size() != original.values.size()) {
    return site.refuse("BS-2", "its factors do not fit the layer");
  }
  rounding.round(delta.values.data(), delta.values.size());
  for (std::size_t i = 0; i < out.values.size(); ++i) {
    out.values[i] = original.values[i] * delta.values[i];
  }
  return {};
}

Result<void> refuse_undo(const Site& site) {
  if (!site.undo) return {};
  return site.refuse("MG-9", site.config().peft_type() +
                                 " makes its update from the weight before the merge, which is not "
                                 "known any more: it cannot be undone");
}

Result<SiteSteps> one(const Site& site, const Dense& dense) {
  SiteSteps steps;
  steps.weight.push_back(dense_maker(site, dense));
  return steps;
}

}  // namespace

Result<SiteSteps> plan_miss(const Site& site) {
  FERRULE_TRY(const auto* block, site.need("miss_block"));
  const auto shape = block->tensor.shape();
  if (shape.size() == 3) {
    const auto r = static_cast<std::size_t>(shape[2]);
    if (r == 0 || shape[1] != r || shape[0] * r != site.out() || site.in() % r != 0) {
      return site.refuse("BS-2", "miss_block does not fit the layer");
    }
    return one(
        site,
        {.gives = Dense::Gives::kWeight, .narrow = miss_bat<float>, .wide = miss_bat<double>});
  }
  if (shape.size() != 2 || shape[1] == 0 || site.out() % shape[1] != 0) {
    return site.refuse("BS-2", "miss_block does not fit the layer");
  }
  return one(site, {.narrow = miss<float>, .wide = miss<double>});
}

Result<SiteSteps> plan_deft(const Site& site) {
  FERRULE_CHECK(refuse_undo(site));
  FERRULE_CHECK(site.need("deft_P"));
  return one(site, {.rounding = DeltaRounding::kDelta,
                    .needs_original = true,
                    .narrow = deft<float>,
                    .wide = deft<double>});
}

Result<SiteSteps> plan_delora(const Site& site) {
  for (const auto* role : {"delora_A", "delora_B", "delora_lambda"}) FERRULE_CHECK(site.need(role));
  if (site.module->find("delora_w_norm") == nullptr) FERRULE_CHECK(refuse_undo(site));
  return one(site, {.rounding = DeltaRounding::kDelta,
                    .needs_original = true,
                    .narrow = delora<float>,
                    .wide = delora<double>});
}

Result<SiteSteps> plan_gralora(const Site& site) {
  FERRULE_CHECK(site.need("gralora_A"));
  FERRULE_CHECK(site.need("gralora_B"));
  return one(site, {.narrow = gralora<float>, .wide = gralora<double>});
}

Result<SiteSteps> plan_hira(const Site& site) {
  FERRULE_CHECK(refuse_undo(site));
  const bool embedding = site.module->find("hira_embedding_A") != nullptr;
  FERRULE_TRY(const auto* a, site.need(embedding ? "hira_embedding_A" : "hira_A"));
  FERRULE_CHECK(site.need(embedding ? "hira_embedding_B" : "hira_B"));
  auto seen = site;
  seen.transposed = site.transposed || embedding;
  if (site.kind == checks::LayerKind::kConv && a->tensor.shape().size() > 2 &&
      a->tensor.shape()[1] != site.shape[1]) {
    return site.refuse("MG-3",
                       "the layer is a grouped convolution, which HiRA does not merge into");
  }
  return one(seen, {.rounding = DeltaRounding::kDelta,
                    .needs_original = true,
                    .narrow = hira<float>,
                    .wide = hira<double>});
}

}  // namespace ferrule::merging
