// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/export.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"

namespace ferrule {

/// The `__metadata__` of a safetensors file: pairs of strings, in the order of the file.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// An opened .safetensors file: checked in full once, then read without copies.
///
/// open() applies every ST rule (docs/rules/ST.md) and either returns a file for which all of them
/// hold or says which one did not. Nothing about the file can fail after that (except what
/// Backing::kMap describes). What it hands out points into it; moving it invalidates nothing.
/// Const members may be called from any number of threads at once.
///
///   auto file = SafetensorsFile::open("adapter_model.safetensors");
///   if (!file) return file.error();
///   for (const auto& [name, tensor] : file->tensors()) upload(name, tensor.bytes());
class FERRULE_API SafetensorsFile final : public TensorSource {
 public:
  /// Fails with kNotFound, kIo, kCorrupt, kUnsupported (the file is something else, which the
  /// message names) or kLimitExceeded.
  static Result<SafetensorsFile> open(const std::filesystem::path& path,
                                      const OpenOptions& options = {});

  /// The same checks over bytes in memory, which must outlive the result.
  static Result<SafetensorsFile> from_bytes(std::span<const std::byte> bytes,
                                            const ReadLimits& limits = {});

  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;
  ~SafetensorsFile() override;

  /// In the order of their data in the file.
  std::span<const NamedTensor> tensors() const& noexcept override;
  std::span<const NamedTensor> tensors() const&& = delete;  // It would dangle.
  /// O(log n) at most.
  std::optional<TensorView> find(std::string_view name) const& noexcept override;
  std::optional<TensorView> find(std::string_view name) const&& = delete;
  std::span<const TensorAlias> aliases() const& noexcept override;
  std::span<const TensorAlias> aliases() const&& = delete;
  Result<FileRange> range(std::string_view name) const override;

  /// Empty if the file has none; has_metadata() tells that from an empty one.
  const Metadata& metadata() const& noexcept;
  const Metadata& metadata() const&& = delete;
  bool has_metadata() const noexcept;

  /// The file as opened; empty for from_bytes().
  const std::filesystem::path& path() const& noexcept;
  const std::filesystem::path& path() const&& = delete;
  /// Size of the file in bytes, header included.
  std::uint64_t file_bytes() const noexcept;

 private:
  friend struct SafetensorsFileAccess;
  struct Rep;
  explicit SafetensorsFile(std::unique_ptr<Rep> rep) noexcept;

  std::unique_ptr<Rep> rep_;  // On the heap, so that views survive a move.
};

}  // namespace ferrule
