// SPDX-License-Identifier: Apache-2.0
#include "update/low_rank.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "update/tensor_values.hpp"

namespace ferrule::update {
namespace {

struct Pair {
  std::string_view a;
  std::string_view b;
};

constexpr Pair kPairs[] = {{"lora_A", "lora_B"},
                           {"lora_embedding_A", "lora_embedding_B"},
                           {"hira_A", "hira_B"},
                           {"hira_embedding_A", "hira_embedding_B"}};

const AdapterTensor* find(const AdapterModule& module, std::string_view role) {
  for (const auto& tensor : module.tensors()) {
    if (tensor.role == role && (tensor.leaf.empty() || tensor.leaf == "weight")) return &tensor;
  }
  return nullptr;
}

std::size_t extent(const AdapterTensor& tensor, std::size_t axis) {
  return static_cast<std::size_t>(tensor.tensor.shape()[axis]);
}

/// Elements of one row of A, or of one element of B's columns.
std::size_t row_elements(const AdapterTensor& tensor, std::size_t first_axis) {
  std::size_t count = 1;
  for (auto axis = first_axis; axis < tensor.tensor.shape().size(); ++axis) {
    count *= extent(tensor, axis);
  }
  return count;
}

/// `parts` products side by side; experts interleave B's columns, groups divide its rows.
void add_blocks(LowRankUpdate& update, std::size_t parts, bool experts) {
  const auto rank = extent(*update.a, 0) / parts;
  const auto in = row_elements(*update.a, 1);
  const auto out = experts ? extent(*update.b, 0) : extent(*update.b, 0) / parts;
  const auto columns = extent(*update.b, 1);
  for (std::size_t i = 0; i < parts; ++i) {
    LowRankUpdate::Block block;
    block.a = {.tensor = update.a->tensor,
               .count = rank,
               .length = in,
               .first = i * rank * in,
               .vector_stride = in,
               .element_stride = 1};
    if (update.diagonal) block.a.weights = std::span(*update.diagonal).subspan(i * rank, rank);
    block.b = {.tensor = update.b->tensor,
               .count = rank,
               .length = out,
               .first = experts ? i : i * out * columns,
               .vector_stride = experts ? parts : 1,
               .element_stride = columns};
    update.blocks.push_back(block);
  }
}

bool read_diagonal(const AdapterModule& module, std::string_view role, std::size_t rank,
                   LowRankUpdate& update) {
  const auto* tensor = find(module, role);
  if (tensor == nullptr) return true;
  const auto values = values_of(tensor->tensor);
  if (!values || values->size() != rank) return false;
  update.diagonal = std::make_shared<std::vector<double>>(*values);
  update.diagonal_tensor = tensor;
  return true;
}

/// How many products are side by side, or 0 if the shapes fit none.
std::size_t count_blocks(const AdapterConfig& config, const AdapterModule& module,
                         const LowRankUpdate& update, bool& experts) {
  const auto rows = extent(*update.a, 0);
  const auto columns = extent(*update.b, 1);
  if (rows == 0 || columns == 0 || row_elements(*update.b, 2) != 1) return 0;
  const auto rank = module.resolved().rank.value_or(0);
  experts = rows == columns && !config.target_parameters().empty() && rank >= 1 &&
            static_cast<double>(rows) > rank;
  if (experts) {
    const auto whole = static_cast<std::size_t>(rank);
    return rows % whole == 0 ? rows / whole : 0;
  }
  const bool divides = rows % columns == 0 && extent(*update.b, 0) % (rows / columns) == 0;
  return divides ? rows / columns : 0;
}

bool same_bytes(const TensorView& a, const TensorView& b) {
  return a.dtype() == b.dtype() &&
         std::equal(a.shape().begin(), a.shape().end(), b.shape().begin(), b.shape().end()) &&
         (a.bytes().data() == b.bytes().data() ||
          std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin()));
}

bool same_diagonal(const LowRankUpdate& a, const LowRankUpdate& b) {
  if (!a.diagonal || !b.diagonal) return !a.diagonal && !b.diagonal;
  return *a.diagonal == *b.diagonal;
}

/// The sum of products of two blocks of Grams: <B1 A1, B2 A2> in which `i` runs over the vectors of
/// one update and `j` over those of the other.
double product(const Gram& a, const Gram& b, std::size_t i_first, std::size_t i_count,
               std::size_t j_first, std::size_t j_count) {
  double sum = 0;
  for (std::size_t i = i_first; i < i_first + i_count; ++i) {
    for (std::size_t j = j_first; j < j_first + j_count; ++j) sum += a.at(i, j) * b.at(i, j);
  }
  return sum;
}

/// Squares of one factor in both updates and of their difference, vector by vector.
struct FactorSquares {
  double mine = 0;
  double theirs = 0;
  double difference = 0;

  void add(const Gram& gram, std::size_t mine_count, std::size_t their_count) {
    for (std::size_t i = 0; i < mine_count; ++i) mine += gram.at(i, i);
    for (std::size_t i = 0; i < their_count; ++i) {
      theirs += gram.at(mine_count + i, mine_count + i);
    }
    for (std::size_t i = 0; i < std::min(mine_count, their_count); ++i) {
      difference +=
          gram.at(i, i) + gram.at(mine_count + i, mine_count + i) - 2 * gram.at(i, mine_count + i);
    }
  }

  double relative() const { return std::sqrt(std::max(difference, 0.0) / std::max(mine, theirs)); }
};

}  // namespace

std::optional<LowRankUpdate> low_rank_update(const AdapterConfig& config,
                                             const AdapterModule& module) {
  const auto& type = config.peft_type();
  if (type != "LORA" && type != "ADALORA" && type != "HIRA") return std::nullopt;
  // Block-diagonal factors are stored without their zeros, in a shape that does not say which.
  const auto* blocks = config.find("use_bdlora");
  if (blocks != nullptr && !blocks->is_null()) return std::nullopt;
  LowRankUpdate update;
  for (const auto& [a, b] : kPairs) {
    update.a = find(module, a);
    update.b = find(module, b);
    if (update.a != nullptr && update.b != nullptr) break;
  }
  if (update.a == nullptr || update.b == nullptr || !has_values(update.a->tensor.dtype()) ||
      !has_values(update.b->tensor.dtype()) || update.a->tensor.shape().size() < 2 ||
      update.b->tensor.shape().size() < 2) {
    return std::nullopt;
  }
  bool experts = false;
  const auto parts = count_blocks(config, module, update, experts);
  const auto rank = extent(*update.a, 0);
  if (parts == 0 || rank / parts > kMaxVectors / 2) return std::nullopt;
  if (!read_diagonal(module, type == "ADALORA" ? "lora_E" : "lora_diag", rank, update)) {
    return std::nullopt;
  }
  update.strength = module.strength();
  // AdaLoRA divides by the number of ranks that are left.
  if (type == "ADALORA") update.strength /= static_cast<double>(rank) + 1e-5;
  add_blocks(update, parts, experts);
  return update;
}

LowRankUpdate with_factors(const LowRankUpdate& update, const AdapterTensor& a,
                           const AdapterTensor& b, double strength) {
  LowRankUpdate result{.blocks = {},
                       .strength = strength,
                       .a = &a,
                       .b = &b,
                       .diagonal = update.diagonal,
                       .diagonal_tensor = update.diagonal_tensor};
  const bool experts = update.blocks.front().b.vector_stride > 1;
  add_blocks(result, update.blocks.size(), experts);
  return result;
}

bool same_shape(const LowRankUpdate& a, const LowRankUpdate& b) {
  if (a.blocks.size() != b.blocks.size() || a.a->role != b.a->role) return false;
  const auto& mine = a.a->tensor.shape();
  const auto& theirs = b.a->tensor.shape();
  return mine.size() == theirs.size() &&
         std::equal(mine.begin() + 1, mine.end(), theirs.begin() + 1) &&
         a.blocks.front().b.length == b.blocks.front().b.length;
}

UpdateProducts compare_updates(const LowRankUpdate& a, const LowRankUpdate& b) {
  UpdateProducts sums;
  FactorSquares down, up;
  const bool diagonals = same_diagonal(a, b);
  const bool shared_a = diagonals && same_bytes(a.a->tensor, b.a->tensor);
  const bool shared_b = diagonals && same_bytes(a.b->tensor, b.b->tensor);
  bool ranks_agree = true;
  double difference = 0;
  for (std::size_t i = 0; i < a.blocks.size(); ++i) {
    const auto& mine = a.blocks[i];
    const auto& theirs = b.blocks[i];
    const auto rank = mine.a.count;
    const auto other = theirs.a.count;
    ranks_agree = ranks_agree && rank == other;
    const Vectors a_parts[] = {{.set = mine.a}, {.set = theirs.a}};
    const Vectors b_parts[] = {{.set = mine.b}, {.set = theirs.b}};
    const auto gram_a = gram_of(a_parts);
    const auto gram_b = gram_of(b_parts);
    sums.aa += product(gram_a, gram_b, 0, rank, 0, rank);
    sums.bb += product(gram_a, gram_b, rank, other, rank, other);
    sums.ab += product(gram_a, gram_b, 0, rank, rank, other);
    down.add(gram_a, rank, other);
    up.add(gram_b, rank, other);
    if (!shared_a && !shared_b) continue;
    const auto& varying = shared_a ? mine.b : mine.a;
    const auto& their_varying = shared_a ? theirs.b : theirs.a;
    const Vectors parts[] = {
        {.set = varying, .factor = a.strength, .other = their_varying, .other_factor = b.strength}};
    difference += product(gram_of(parts), shared_a ? gram_a : gram_b, 0, rank, 0, rank);
  }
  sums.aa *= a.strength * a.strength;
  sums.bb *= b.strength * b.strength;
  sums.ab *= a.strength * b.strength;
  sums.distance = shared_a || shared_b ? difference : sums.aa + sums.bb - 2 * sums.ab;
  if (sums.distance < 0) sums.distance = 0;
  sums.factor_distance = ranks_agree ? std::max(down.relative(), up.relative())
                                     : std::numeric_limits<double>::infinity();
  return sums;
}

double squared_norm(const LowRankUpdate& update) {
  double sum = 0;
  for (const auto& block : update.blocks) {
    const Vectors a[] = {{.set = block.a}};
    const Vectors b[] = {{.set = block.b}};
    sum += product(gram_of(a), gram_of(b), 0, block.a.count, 0, block.a.count);
  }
  return sum * update.strength * update.strength;
}

double squared_distance(const LowRankUpdate& a, const LowRankUpdate& b, Factor shared,
                        double multiple) {
  double sum = 0;
  for (std::size_t i = 0; i < a.blocks.size(); ++i) {
    const bool is_a = shared == Factor::kA;
    const Vectors common[] = {{.set = is_a ? a.blocks[i].a : a.blocks[i].b}};
    const Vectors varying[] = {{.set = is_a ? a.blocks[i].b : a.blocks[i].a,
                                .factor = a.strength,
                                .other = is_a ? b.blocks[i].b : b.blocks[i].a,
                                .other_factor = b.strength * multiple}};
    const auto rank = a.blocks[i].a.count;
    sum += product(gram_of(common), gram_of(varying), 0, rank, 0, rank);
  }
  return sum;
}

}  // namespace ferrule::update
