// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/export.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"

namespace ferrule {

/// A path opened as a tensor source: a .safetensors file, a sharded index, a torch file, or a
/// directory that holds one of these. Several paths are joined into one source.
///
/// A directory is searched for, in this order: `model.safetensors`, its index, any other
/// `*.safetensors.index.json`, `adapter_model.safetensors`, all other `*.safetensors`, then the
/// same of torch's formats. An adapter_model.safetensors whose tensors are all empty, which one
/// rank of a sharded model writes, gives way to a whole adapter_model.bin next to it. Names
/// that `save_model` dropped as shared are offered through aliases(). Const members may be called
/// from any number of threads at once.
class FERRULE_API Checkpoint final : public TensorSource {
 public:
  /// Fails with kNotFound, kIo, kCorrupt, kUnsupported or kLimitExceeded; a tensor that is in
  /// two of the joined files with different content is kCorrupt (KY-1).
  static Result<Checkpoint> open(const std::filesystem::path& path,
                                 const OpenOptions& options = {});
  static Result<Checkpoint> open(std::span<const std::filesystem::path> paths,
                                 const OpenOptions& options = {});

  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint() override;

  std::span<const NamedTensor> tensors() const& noexcept override;
  std::span<const NamedTensor> tensors() const&& = delete;  // It would dangle.
  std::optional<TensorView> find(std::string_view name) const& noexcept override;
  std::optional<TensorView> find(std::string_view name) const&& = delete;
  std::span<const TensorAlias> aliases() const& noexcept override;
  std::span<const TensorAlias> aliases() const&& = delete;
  Result<FileRange> range(std::string_view name) const override;

  /// The files it reads, in the order in which they were joined.
  std::span<const std::filesystem::path> files() const& noexcept;
  std::span<const std::filesystem::path> files() const&& = delete;

  /// Size of those files together, in bytes.
  std::uint64_t file_bytes() const noexcept;

  /// Files of tensors in the same directories that are not among them: what a trainer saved besides
  /// (`non_lora_trainables.bin`, a value head). Training state such as an optimizer's is not
  /// listed.
  std::span<const std::filesystem::path> beside() const& noexcept;

 private:
  struct Rep;
  explicit Checkpoint(std::unique_ptr<Rep> rep) noexcept;

  std::unique_ptr<Rep> rep_;
};

}  // namespace ferrule
