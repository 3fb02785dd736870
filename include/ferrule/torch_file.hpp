// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "ferrule/export.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"

namespace ferrule {

/// An opened torch file (`adapter_model.bin`, `.pt`, `.pth`): what torch.save wrote of a state
/// dict, as a zip (torch 1.6 and later) or as the older stream. Its pickle is read as data; nothing
/// in it is ever run or imported.
///
/// open() applies every TZ and PK rule (docs/rules) and either returns a file for which all of them
/// hold or says which one did not; CRC-32s are checked too. Contiguous tensors are views
/// into the file, others are rearranged in memory, within ReadLimits::materialized_bytes; tensors
/// that share a storage there share its bytes here. What it hands out dies with it; moving it
/// invalidates nothing. Const members may be called from any number of threads at once.
class FERRULE_API TorchFile final : public TensorSource {
 public:
  /// If the state dict is one level down (`{"state_dict": {...}, "epoch": 3}`),
  /// OpenOptions::torch_key names it.
  /// Fails with kNotFound, kIo, kCorrupt, kUnsupported (the message says what it is and, for a
  /// nested one, which key to give) or kLimitExceeded.
  static Result<TorchFile> open(const std::filesystem::path& path, const OpenOptions& options = {});

  /// The same over bytes in memory, which must outlive the result.
  static Result<TorchFile> from_bytes(std::span<const std::byte> bytes,
                                      const OpenOptions& options = {});

  TorchFile(TorchFile&&) noexcept;
  TorchFile& operator=(TorchFile&&) noexcept;
  ~TorchFile() override;

  /// In the order of the state dict.
  std::span<const NamedTensor> tensors() const& noexcept override;
  std::span<const NamedTensor> tensors() const&& = delete;  // It would dangle.
  /// O(1) on average.
  std::optional<TensorView> find(std::string_view name) const& noexcept override;
  std::optional<TensorView> find(std::string_view name) const&& = delete;
  std::span<const TensorAlias> aliases() const& noexcept override;
  std::span<const TensorAlias> aliases() const&& = delete;
  Result<FileRange> range(std::string_view name) const override;

  /// The file as opened; empty for from_bytes().
  const std::filesystem::path& path() const& noexcept;
  const std::filesystem::path& path() const&& = delete;
  std::uint64_t file_bytes() const noexcept;

 private:
  friend struct TorchFileAccess;
  struct Rep;
  explicit TorchFile(std::unique_ptr<Rep> rep) noexcept;

  std::unique_ptr<Rep> rep_;  // On the heap, so that views survive a move.
};

}  // namespace ferrule
