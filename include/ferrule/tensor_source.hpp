// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/export.hpp"
#include "ferrule/file_range.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule {

/// A name that `safetensors.torch.save_model` left out because it shares memory with another.
struct TensorAlias {
  std::string_view removed;
  std::string_view kept;
};

/// Anything that lists tensors by name: a safetensors file, a sharded index, a torch file, the
/// caller's own memory. Readers never ask which.
///
/// What it hands out points into it and dies with it. Const members may be called from any number
/// of threads.
class FERRULE_API TensorSource {
 public:
  virtual ~TensorSource();

  /// All tensors, in an order that is the same at every call. Names are unique.
  virtual std::span<const NamedTensor> tensors() const& noexcept = 0;

  /// The tensor of that name, or nullopt: a missing name is an answer, not an error. Does not look
  /// through aliases.
  virtual std::optional<TensorView> find(std::string_view name) const& noexcept = 0;

  /// Names under which tensors were dropped as shared. Both sides are plain tensor names; `kept`
  /// is among tensors().
  virtual std::span<const TensorAlias> aliases() const& noexcept = 0;

  /// Where its file holds the tensor of that name. Fails with kNotFound if there is no such tensor,
  /// and with kUnsupported if its bytes are not in a file as they are: the caller's memory, or a
  /// tensor that had to be rearranged.
  virtual Result<FileRange> range(std::string_view name) const;

 protected:
  TensorSource() = default;
  TensorSource(const TensorSource&) = default;
  TensorSource& operator=(const TensorSource&) = default;
};

/// A tensor source over the caller's memory: a live state dict. Copies names and shapes, never
/// tensor bytes, which must outlive it.
class FERRULE_API StateDict final : public TensorSource {
 public:
  StateDict();
  StateDict(StateDict&&) noexcept;
  StateDict& operator=(StateDict&&) noexcept;
  ~StateDict() override;

  /// Fails with kInvalidArgument if the name exists already or the size does not fit the shape.
  Result<void> add(std::string name, Dtype dtype, std::span<const std::uint64_t> shape,
                   std::span<const std::byte> bytes);

  std::span<const NamedTensor> tensors() const& noexcept override;
  std::span<const NamedTensor> tensors() const&& = delete;  // It would dangle.
  std::optional<TensorView> find(std::string_view name) const& noexcept override;
  std::optional<TensorView> find(std::string_view name) const&& = delete;
  std::span<const TensorAlias> aliases() const& noexcept override;
  std::span<const TensorAlias> aliases() const&& = delete;

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;  // On the heap, so that views survive a move.
};

}  // namespace ferrule
