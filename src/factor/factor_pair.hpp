// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/dtype.hpp"
#include "ferrule/tensor_stream.hpp"
#include "update/low_rank.hpp"

namespace ferrule::factor {

/// How A and B of a module are laid out, whatever their rank: products side by side for fused
/// experts and the groups of a convolution.
struct FactorLayout {
  std::string path;
  /// lora_embedding_A and lora_embedding_B, which are parameters without ".weight".
  bool is_embedding = false;
  /// B's columns of the experts are interleaved.
  bool is_experts = false;
  std::size_t parts = 1;
  /// Of one product: B is out x rank, A rank x in.
  std::size_t in = 0;
  std::size_t out = 0;
  /// Extents of A after the first, of B after the second.
  std::vector<std::uint64_t> a_tail;
  std::vector<std::uint64_t> b_tail;

  /// The layout of a module that is adapted already.
  static FactorLayout of(const AdapterModule& module, const update::LowRankUpdate& update);

  /// That of LoRA on a layer with that weight: [out, in] with the kernel after it, or, for
  /// transformers' Conv1D, [in, out].
  static FactorLayout of_weight(std::string path, std::span<const std::uint64_t> shape,
                                bool transposed);

  std::string a_key() const;
  std::string b_key() const;
  /// Elements of A and B for each rank of every product.
  std::uint64_t parameters_of_a_rank() const noexcept;
  /// What the config says of products of that rank: groups of a convolution count each.
  std::uint64_t config_rank(std::size_t rank) const noexcept {
    return is_experts ? rank : parts * rank;
  }
  /// The largest rank of a product that means anything.
  std::size_t full_rank() const noexcept { return in < out ? in : out; }
};

/// A and B of a module, being filled.
class FactorPair {
 public:
  /// All zeros. `rank` is that of one product.
  FactorPair(const FactorLayout& layout, std::size_t rank, Dtype dtype);

  std::size_t rank() const noexcept { return rank_; }

  /// Elements of row `vector` of A of that product, from `first` on.
  void put_a(std::size_t part, std::size_t vector, std::size_t first,
             std::span<const double> values);
  /// Elements of row `row` of B of that product: column `first` and those after it.
  void put_b(std::size_t part, std::size_t row, std::size_t first, std::span<const double> values);

  /// All elements of both, in the order of the tensors.
  void set_all(std::span<const float> a, std::span<const float> b);

  /// Values that are not finite in the dtype.
  std::uint64_t overflowed() const;

  TensorStream a() const;
  TensorStream b() const;

  /// Rows of A and columns of B of that product. Views into this pair.
  update::VectorSet a_vectors(std::size_t part) const;
  update::VectorSet b_vectors(std::size_t part) const;

 private:
  TensorStream stream(std::string key, const std::shared_ptr<std::vector<std::byte>>& bytes,
                      std::vector<std::uint64_t> shape) const;
  std::vector<std::uint64_t> a_shape() const;
  std::vector<std::uint64_t> b_shape() const;

  FactorLayout layout_;
  std::size_t rank_;
  Dtype dtype_;
  std::size_t element_;
  std::uint64_t a_elements_[1];
  std::uint64_t b_elements_[1];
  std::shared_ptr<std::vector<std::byte>> a_;
  std::shared_ptr<std::vector<std::byte>> b_;
};

/// Writes the values as that dtype, which is F64, F32, BF16 or F16, each rounded to nearest even.
void write_values(Dtype dtype, std::span<const double> values, std::byte* out) noexcept;

}  // namespace ferrule::factor
