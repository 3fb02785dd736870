// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/Functions.h>
#include <torch/nn/functional/conv.h>
#include <torch/nn/functional/embedding.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ferrule/torch/tensors.hpp"

namespace ferrule::libtorch {

/// The kinds of layers that carry adapters.
enum class LayerKind : std::uint8_t { kLinear, kEmbedding, kConv1d, kConv2d };

/// "Linear", "Embedding", "Conv1d" or "Conv2d".
inline std::string_view layer_kind_name(LayerKind kind) noexcept {
  switch (kind) {
    case LayerKind::kLinear:
      return "Linear";
    case LayerKind::kEmbedding:
      return "Embedding";
    case LayerKind::kConv1d:
      return "Conv1d";
    case LayerKind::kConv2d:
      return "Conv2d";
  }
  return {};
}

namespace detail {

/// What a method needs to know of the layer below an adapter: PEFT's `base_layer`.
class BaseLayer {
 public:
  virtual ~BaseLayer() = default;

  virtual LayerKind kind() const = 0;
  virtual std::shared_ptr<::torch::nn::Module> module() const = 0;
  virtual Tensor& weight() = 0;
  /// Undefined if the layer has none.
  virtual Tensor bias() const = 0;
  virtual Tensor forward(const Tensor& x) = 0;
  virtual std::int64_t in_features() const = 0;
  virtual std::int64_t out_features() const = 0;
  virtual std::int64_t groups() const { return 1; }
  virtual std::int64_t dilation() const { return 1; }
  /// The first extent of the weight.
  virtual std::int64_t weight_rows() const { return out_features(); }
  /// Empty for layers without one.
  virtual std::vector<std::int64_t> kernel() const { return {}; }

  /// The layer's own operation with another weight, without bias.
  virtual Tensor apply(const Tensor& x, const Tensor& weight) = 0;
  /// LoRA's first half: to the rank, with the layer's kernel, stride and padding.
  virtual Tensor down(const Tensor& x, const Tensor& weight) = 0;
  /// LoRA's second half: from the rank to the layer's outputs.
  virtual Tensor up(const Tensor& x, const Tensor& weight, const Tensor& bias) = 0;
};

class LinearBase final : public BaseLayer {
 public:
  explicit LinearBase(std::shared_ptr<::torch::nn::LinearImpl> layer) : layer_(std::move(layer)) {}

  LayerKind kind() const override { return LayerKind::kLinear; }
  std::shared_ptr<::torch::nn::Module> module() const override { return layer_; }
  Tensor& weight() override { return layer_->weight; }
  Tensor bias() const override { return layer_->bias; }
  Tensor forward(const Tensor& x) override { return layer_->forward(x); }
  std::int64_t in_features() const override { return layer_->weight.size(1); }
  std::int64_t out_features() const override { return layer_->weight.size(0); }
  Tensor apply(const Tensor& x, const Tensor& weight) override { return at::linear(x, weight); }
  Tensor down(const Tensor& x, const Tensor& weight) override { return at::linear(x, weight); }
  Tensor up(const Tensor& x, const Tensor& weight, const Tensor& bias) override {
    return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
  }

 private:
  std::shared_ptr<::torch::nn::LinearImpl> layer_;
};

class EmbeddingBase final : public BaseLayer {
 public:
  explicit EmbeddingBase(std::shared_ptr<::torch::nn::EmbeddingImpl> layer)
      : layer_(std::move(layer)) {}

  LayerKind kind() const override { return LayerKind::kEmbedding; }
  std::shared_ptr<::torch::nn::Module> module() const override { return layer_; }
  Tensor& weight() override { return layer_->weight; }
  Tensor bias() const override { return {}; }
  Tensor forward(const Tensor& x) override { return layer_->forward(x); }
  std::int64_t in_features() const override { return layer_->weight.size(0); }
  std::int64_t out_features() const override { return layer_->weight.size(1); }
  std::int64_t weight_rows() const override { return layer_->weight.size(0); }
  Tensor apply(const Tensor& x, const Tensor& weight) override {
    const auto& options = layer_->options;
    return ::torch::nn::functional::detail::embedding(
        x, weight, options.padding_idx(), options.max_norm(), options.norm_type(),
        options.scale_grad_by_freq(), options.sparse());
  }
  Tensor down(const Tensor& x, const Tensor& weight) override { return apply(x, weight.t()); }
  Tensor up(const Tensor& x, const Tensor& weight, const Tensor&) override {
    return at::matmul(x, weight.t());
  }

 private:
  std::shared_ptr<::torch::nn::EmbeddingImpl> layer_;
};

template <typename Impl>
class ConvBase final : public BaseLayer {
 public:
  static constexpr bool kOneDimension = std::is_same_v<Impl, ::torch::nn::Conv1dImpl>;

  explicit ConvBase(std::shared_ptr<Impl> layer) : layer_(std::move(layer)) {}

  LayerKind kind() const override {
    return kOneDimension ? LayerKind::kConv1d : LayerKind::kConv2d;
  }
  std::shared_ptr<::torch::nn::Module> module() const override { return layer_; }
  Tensor& weight() override { return layer_->weight; }
  Tensor bias() const override { return layer_->bias; }
  Tensor forward(const Tensor& x) override { return layer_->forward(x); }
  std::int64_t in_features() const override { return layer_->options.in_channels(); }
  std::int64_t out_features() const override { return layer_->options.out_channels(); }
  std::int64_t groups() const override { return layer_->options.groups(); }
  std::int64_t dilation() const override { return layer_->options.dilation()->at(0); }
  std::vector<std::int64_t> kernel() const override {
    const auto sizes = layer_->weight.sizes();
    return {sizes.begin() + 2, sizes.end()};
  }
  Tensor apply(const Tensor& x, const Tensor& weight) override {
    const auto& options = layer_->options;
    return convolve(x, weight, {}, options.padding(), options.dilation(), options.groups());
  }
  // PEFT's lora_A takes kernel, stride and padding of the layer, but neither dilation nor groups.
  Tensor down(const Tensor& x, const Tensor& weight) override {
    return convolve(x, weight, {}, layer_->options.padding(), 1, 1);
  }
  Tensor up(const Tensor& x, const Tensor& weight, const Tensor& bias) override {
    static constexpr std::int64_t kOne[] = {1};
    static constexpr std::int64_t kZero[] = {0};
    const at::IntArrayRef one(kOne);
    const at::IntArrayRef zero(kZero);
    return kOneDimension ? at::conv1d(x, weight, bias, one, zero, one, groups())
                         : at::conv2d(x, weight, bias, one, zero, one, groups());
  }

 private:
  template <typename Padding, typename Dilation>
  Tensor convolve(const Tensor& x, const Tensor& weight, const Tensor& bias, const Padding& padding,
                  const Dilation& dilation, std::int64_t groups) {
    if constexpr (kOneDimension) {
      return ::torch::nn::functional::detail::conv1d(x, weight, bias, layer_->options.stride(),
                                                     padding, dilation, groups);
    } else {
      return ::torch::nn::functional::detail::conv2d(x, weight, bias, layer_->options.stride(),
                                                     padding, dilation, groups);
    }
  }

  std::shared_ptr<Impl> layer_;
};

inline std::unique_ptr<BaseLayer> make_base(std::shared_ptr<::torch::nn::LinearImpl> layer) {
  return std::make_unique<LinearBase>(std::move(layer));
}
inline std::unique_ptr<BaseLayer> make_base(std::shared_ptr<::torch::nn::EmbeddingImpl> layer) {
  return std::make_unique<EmbeddingBase>(std::move(layer));
}
inline std::unique_ptr<BaseLayer> make_base(std::shared_ptr<::torch::nn::Conv1dImpl> layer) {
  return std::make_unique<ConvBase<::torch::nn::Conv1dImpl>>(std::move(layer));
}
inline std::unique_ptr<BaseLayer> make_base(std::shared_ptr<::torch::nn::Conv2dImpl> layer) {
  return std::make_unique<ConvBase<::torch::nn::Conv2dImpl>>(std::move(layer));
}

}  // namespace detail
}  // namespace ferrule::libtorch
