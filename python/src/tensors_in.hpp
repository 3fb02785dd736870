// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ferrule/tensor_source.hpp"
#include "kept_objects.hpp"

namespace ferrule::python {

/// Whose tensors are taken.
enum class Accept : std::uint8_t { kAny, kTorch, kNumpy };

/// Tensors of Python (torch's or numpy's) as a tensor source, without copying what is contiguous in
/// host memory. Keeps the objects alive, so any thread can read and destroy it, with or without the
/// GIL. Writes to the tensors at the same time may or may not be seen.
class LiveTensors final : public TensorSource {
 public:
  /// Takes the tensors of a dict, which can change afterwards. Messages call it `argument`.
  /// Needs the GIL. Raises
  /// - TypeError: a key is not a str, or a value not a tensor;
  /// - UnsupportedError: a tensor without bytes (meta, fake, sparse, a wrapper) or with a dtype
  /// that
  ///   safetensors does not have; the message names it.
  ///
  /// Conj and neg bits are resolved, other strides than row-major made contiguous, DTensors
  /// gathered by their own full_tensor() (collective: every rank must take part), tensors on a
  /// device copied to the host together.
  static std::shared_ptr<LiveTensors> of(nanobind::handle tensors, std::string_view argument,
                                         Accept accept = Accept::kAny);

  std::span<const NamedTensor> tensors() const& noexcept override { return tensors_; }
  std::optional<TensorView> find(std::string_view name) const& noexcept override;
  std::span<const TensorAlias> aliases() const& noexcept override { return {}; }

  /// True if the bytes of two tensors overlap.
  bool overlapping() const;

  /// True if no tensor had to be copied.
  bool all_in_place() const noexcept { return in_place_; }

  /// Bytes of all tensors.
  std::uint64_t byte_count() const noexcept;

 private:
  friend class TensorReader;
  LiveTensors() = default;

  KeptObjects kept_;
  /// Blocks of shapes, which do not move.
  std::vector<std::unique_ptr<std::uint64_t[]>> shapes_;
  std::vector<NamedTensor> tensors_;
  bool in_place_ = true;
  mutable std::once_flag indexed_;
  mutable std::unordered_map<std::string_view, std::size_t> index_;
};

}  // namespace ferrule::python
