// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ferrule/tensor_source.hpp"

namespace ferrule::python {

/// Memory that is used again: new pages for every snapshot would cost several times the copy
/// itself.
struct SnapshotBuffer {
  std::unique_ptr<std::byte[]> bytes;
  std::size_t size = 0;
};

/// A copy of a tensor source at one moment, in a buffer that the next snapshot uses again. Tensors
/// that shared memory do so here too. Uses nothing of Python; any thread can read and destroy it.
class Snapshot final : public TensorSource {
 public:
  /// nullptr if there is not enough memory.
  static std::shared_ptr<Snapshot> of(const TensorSource& source);
  ~Snapshot() override;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  std::span<const NamedTensor> tensors() const& noexcept override { return tensors_; }
  std::optional<TensorView> find(std::string_view name) const& noexcept override;
  std::span<const TensorAlias> aliases() const& noexcept override { return {}; }

  /// Bytes of all tensors, each memory counted once.
  std::uint64_t byte_count() const noexcept { return byte_count_; }

 private:
  Snapshot() = default;

  SnapshotBuffer buffer_;
  std::uint64_t byte_count_ = 0;
  std::vector<std::string> names_;
  std::vector<std::vector<std::uint64_t>> shapes_;
  std::vector<NamedTensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

}  // namespace ferrule::python
