// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/torch/update.hpp"

namespace ferrule::libtorch::detail {

/// The division of a layer's inputs into blocks that are rotated on their own.
struct OftBlocks {
  std::int64_t count = 0;
  std::int64_t size = 0;
};

/// The divisor of `features` that is nearest to `wanted`, the smaller of two.
inline std::int64_t nearest_divisor(std::int64_t features, std::int64_t wanted) {
  if (wanted >= features) return features;
  auto higher = wanted;
  while (features % higher != 0) ++higher;
  auto lower = wanted;
  while (features % lower != 0) --lower;
  return wanted - lower <= higher - wanted ? lower : higher;
}

/// What PEFT makes of `r` and `oft_block_size`, of which exactly one is not 0.
inline OftBlocks oft_blocks(const AdapterConfig& config, std::int64_t features) {
  const auto rank = config.integer("r").value_or(0);
  if (rank > 0) {
    const auto count = nearest_divisor(features, rank);
    return {.count = count, .size = features / count};
  }
  const auto size = nearest_divisor(features, config.integer("oft_block_size").value_or(0));
  return {.count = features / size, .size = size};
}

/// What of a layer is rotated: its inputs, with a kernel's points, or an embedding's outputs. (PEFT
/// takes the first extent of a kernel for both.)
inline std::int64_t oft_features(const BaseLayer& base) {
  if (base.kind() == LayerKind::kEmbedding) return base.out_features();
  auto features = base.in_features();
  for (const auto extent : base.kernel()) features *= extent;
  return features;
}

/// OFT: rotates the inputs of a layer, block by block, with Cayley's form of a skew matrix.
class OftUpdate final : public Update {
 public:
  OftUpdate(UpdateSettings settings, const BaseLayer& base, OftBlocks blocks, Tensor weight,
            bool neutral)
      : Update(std::move(settings)),
        kind_(base.kind()),
        blocks_(blocks),
        weight_(std::move(weight)),
        neutral_(neutral) {
    const auto upper = at::triu_indices(blocks_.size, blocks_.size, 1);
    upper_ = (upper[0] * blocks_.size + upper[1]).to(weight_.device());
  }

  std::vector<Slot> slots() override {
    return {{kind_ == LayerKind::kEmbedding ? "oft_embedding_R" : "oft_R", "weight", &weight_}};
  }
  bool has_scaling() const override { return false; }

  Tensor forward_all(BaseLayer& base, const Tensor& x, std::span<Update* const> active,
                     bool) override {
    if (kind_ == LayerKind::kEmbedding) {
      auto result = base.forward(x);
      const auto type = result.scalar_type();
      for (auto* update : active) result = static_cast<OftUpdate&>(*update).rotate(base, result);
      return result.to(type);
    }
    auto input = x;
    for (auto* update : active) input = static_cast<OftUpdate&>(*update).rotate(base, input);
    return base.forward(input.to(x.scalar_type())).to(x.scalar_type());
  }

  void merge(MergeSite& site, bool safe) override {
    auto& weight = site.base().weight();
    const auto matrix = rotation_on_cpu();
    Tensor merged;
    if (kind_ == LayerKind::kEmbedding) {
      merged = at::mm(weight.data().to(matrix.scalar_type()), matrix);
    } else {
      const auto rows = weight.data().reshape({weight.size(0), -1});
      merged = at::mm(matrix, rows.t().to(matrix.scalar_type())).t().reshape(weight.sizes());
    }
    if (!safe) {
      weight.data().copy_(merged);
    } else {
      weight.set_data(merged.contiguous().to(weight.scalar_type()));
    }
  }

  void unmerge(MergeSite& site) override {
    auto& weight = site.base().weight();
    const auto matrix = rotation_on_cpu();
    const auto type = matrix.scalar_type();
    if (kind_ == LayerKind::kEmbedding) {
      const auto back = at::linalg_inv(matrix.to(at::kFloat));
      weight.set_data(at::mm(weight.data().to(at::kFloat), back).to(weight.scalar_type()));
      return;
    }
    const auto wide = type == at::kFloat ? matrix : matrix.to(at::kFloat);
    const auto rows = weight.data().reshape({weight.size(0), -1});
    const auto merged = at::mm(at::linalg_inv(wide).to(type), rows.t().to(type)).t();
    weight.set_data(merged.reshape(weight.sizes()).to(weight.scalar_type()));
  }

  std::string merge_obstacle(const BaseLayer& base) const override {
    return base.groups() > 1 ? "it is a convolution with groups" : "";
  }

 protected:
  bool starts_neutral() const override { return neutral_; }
  bool is_neutral() override { return is_zero(weight_); }

 private:
  Tensor skew(const Tensor& vectors) const {
    const auto count = vectors.size(0);
    const auto matrix = at::zeros({count, blocks_.size * blocks_.size}, vectors.options())
                            .index_copy(1, upper_.to(vectors.device()), vectors)
                            .view({count, blocks_.size, blocks_.size});
    return matrix - matrix.transpose(-2, -1);
  }

  /// COFT: keeps the rotation near none.
  void constrain(Tensor& weight) const {
    const ::torch::NoGradGuard no_grad;
    const auto matrix = skew(weight);
    const auto eps = at::reciprocal(at::sqrt(at::scalar_tensor(matrix.size(0), at::kLong))) *
                     (config()->number("eps").value_or(6e-5) * 1);
    const auto norm = at::linalg_vector_norm(matrix, 2, at::IntArrayRef{1, 2}, true);
    const auto near = at::where(norm <= eps, matrix, eps * (matrix / norm));
    weight.copy_(near.reshape({near.size(0), -1}).index_select(1, upper_.to(weight.device())));
  }

  /// The blocks of the rotation, [blocks or 1, size, size].
  Tensor cayley(const Tensor& vectors) const {
    const auto q = skew(vectors);
    const auto count = q.size(0);
    const auto eye = at::eye(blocks_.size, vectors.options().requires_grad(false));
    if (!config()->flag("use_cayley_neumann", true)) {
      const auto identity = eye.unsqueeze(0).expand({count, blocks_.size, blocks_.size});
      return at::linalg_solve(identity + q, identity - q, false);
    }
    const auto terms = config()->integer("num_cayley_neumann_terms").value_or(5);
    auto rotation = eye.repeat({count, 1, 1});
    if (terms <= 1) return rotation;
    rotation.add_(q, 2.0);
    if (terms == 2) return rotation;
    auto power = at::bmm(q, q);
    rotation.add_(power, 2.0);
    for (std::int64_t term = 3; term < terms - 1; ++term) {
      power = at::bmm(power, q);
      rotation.add_(power, 2.0);
    }
    return rotation.add_(at::bmm(power, q));
  }

  bool is_shared() const { return config()->flag("block_share"); }

  Tensor rotate(BaseLayer& base, const Tensor& input) {
    const auto type = input.scalar_type();
    auto x = input.to(weight_.scalar_type());
    if (config()->flag("coft")) constrain(weight_);
    auto blocks = cayley(weight_);
    if (is_shared()) blocks = blocks.repeat({blocks_.count, 1, 1});
    const bool kernel = kind_ == LayerKind::kConv2d;
    const auto outer = x.sizes().vec();
    if (kernel) x = unfold(base, x);
    const auto flat = x.sizes().vec();
    auto sizes = flat;
    sizes.back() = blocks_.count;
    sizes.push_back(blocks_.size);
    x = at::einsum("...rk,rkc->...rc", {x.reshape(sizes), blocks}).reshape(flat);
    if (kernel) x = fold(base, x, outer);
    return x.to(type);
  }

  /// One row for each place of the kernel.
  static Tensor unfold(BaseLayer& base, const Tensor& x) {
    const auto kernel = base.kernel();
    const auto patches = x.unfold(2, kernel[0], 1).unfold(3, kernel[1], 1);
    const auto rows = patches.permute({0, 2, 3, 1, 4, 5}).contiguous();
    return rows.view({rows.size(0) * rows.size(1) * rows.size(2), -1});
  }

  /// Sums the places up again, in the order that PEFT's has.
  static Tensor fold(BaseLayer& base, const Tensor& rows, const std::vector<std::int64_t>& outer) {
    const auto kernel = base.kernel();
    const auto height = outer[2] - kernel[0] + 1;
    const auto width = outer[3] - kernel[1] + 1;
    const auto patches = rows.view({outer[0], height, width, outer[1], kernel[0], kernel[1]})
                             .permute({0, 3, 1, 2, 4, 5})
                             .contiguous()
                             .view({outer[0], outer[1] * kernel[0] * kernel[1], height * width});
    return at::col2im(patches, {outer[2], outer[3]}, {kernel[0], kernel[1]}, {1, 1}, {0, 0},
                      {1, 1});
  }

  /// The whole rotation, computed in float32 if the weight is in half precision.
  Tensor rotation_on_cpu() {
    const ::torch::NoGradGuard no_grad;
    const auto type = weight_.scalar_type();
    const bool widen = weight_.device().is_cpu() && (type == at::kHalf || type == at::kBFloat16);
    auto weight = widen ? weight_.detach().to(at::kFloat) : weight_.detach();
    if (config()->flag("coft")) constrain(weight);
    const auto blocks = cayley(weight);
    std::vector<Tensor> all;
    for (std::int64_t i = 0; i < blocks_.count; ++i) {
      all.push_back(blocks[blocks.size(0) == 1 ? 0 : i]);
    }
    return at::block_diag(all).to(type);
  }

  LayerKind kind_;
  OftBlocks blocks_;
  Tensor weight_;
  /// Places of the upper triangle in a flat block.
  Tensor upper_;
  bool neutral_;
};

/// Why that layer cannot have OFT with that config; empty if it can.
inline std::string oft_obstacle(const AdapterConfig& config, const BaseLayer& base) {
  const auto rank = config.integer("r").value_or(0);
  const auto size = config.integer("oft_block_size").value_or(0);
  if (rank < 0 || size < 0 || (rank == 0) == (size == 0)) {
    return "exactly one of r and oft_block_size must be positive, the other 0";
  }
  if (base.kind() != LayerKind::kConv2d) return {};
  const auto kernel = base.kernel();
  if (kernel[0] != kernel[1]) return "OFT does not take a kernel that is not square";
  return base.dilation() > 1 ? "OFT does not take a convolution with a dilation" : "";
}

inline PreparedUpdate make_oft(UpdateSettings settings, BaseLayer& base) {
  const auto& config = *settings.config;
  const auto blocks = oft_blocks(config, oft_features(base));
  const auto rows = config.flag("block_share") ? 1 : blocks.count;
  const bool neutral = config.flag("init_weights", true);
  auto weight = at::zeros({rows, blocks.size * (blocks.size - 1) / 2});
  if (!neutral) weight.normal_(0.0, 0.1);
  weight = weight.to(base.weight().detach().options());
  return {.update = std::make_unique<OftUpdate>(std::move(settings), base, blocks,
                                                std::move(weight), neutral)};
}

}  // namespace ferrule::libtorch::detail
