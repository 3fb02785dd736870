// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"
#include "ferrule/tensor_stream.hpp"

namespace ferrule::exchange {

/// Tensors that were put together: those that are in memory already are referred to, others are
/// made here.
class MadeTensors final : public TensorSource {
 public:
  /// `kept`: what the streams refer to.
  explicit MadeTensors(std::shared_ptr<const void> kept = {}) : kept_(std::move(kept)) {}

  /// Fails with kCorrupt (EX-8: a tensor larger than memory can be), or as the stream does.
  Result<void> add(const TensorStream& stream);

  std::span<const NamedTensor> tensors() const& noexcept override { return tensors_.tensors(); }
  std::optional<TensorView> find(std::string_view name) const& noexcept override {
    return tensors_.find(name);
  }
  std::span<const TensorAlias> aliases() const& noexcept override { return tensors_.aliases(); }

 private:
  std::shared_ptr<const void> kept_;
  std::vector<std::shared_ptr<const void>> owners_;
  std::deque<std::vector<std::byte>> bytes_;
  StateDict tensors_;
};

}  // namespace ferrule::exchange
