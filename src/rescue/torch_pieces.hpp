// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ferrule/result.hpp"
#include "format/pickle/pickle_view.hpp"
#include "format/torch/torch_archive.hpp"
#include "rescue/found.hpp"

namespace ferrule::rescues {

/// The whole tensor as one piece. `base` is where the archive starts in the file.
Piece piece_of(Sources& sources, std::size_t source, std::uint64_t base,
               const format::TorchObject& object, const format::TorchTensor& tensor);

/// A file of torch.save that a trainer wrote, opened.
class TorchState {
 public:
  /// Fails with the file's path; RS-3 if it is missing.
  static Result<TorchState> open(Sources& sources, const std::filesystem::path& path,
                                 format::PicklePolicy policy = format::PicklePolicy::kTrainer);
  /// One that is a part of a file: an item of a .distcp file.
  static Result<TorchState> open_at(Sources& sources, const std::filesystem::path& path,
                                    std::uint64_t offset, std::uint64_t bytes);

  format::PickleView view() const noexcept { return format::PickleView(object_->pickle()); }
  const format::Pickle& pickle() const noexcept { return object_->pickle(); }
  const format::TorchObject& object() const noexcept { return *object_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  std::size_t source() const noexcept { return source_; }

  /// The tensor as one piece. Fails with a message that names it.
  Result<FoundTensor> tensor(Sources& sources, std::string_view name,
                             const format::PickleValue& value) const;
  /// The value of a number, or of a tensor of one element; nullopt for anything else.
  Result<std::optional<double>> number(Sources& sources, const format::PickleValue& value) const;

  /// An error about this file.
  Error bad(std::string_view rule, std::string message) const;

 private:
  std::shared_ptr<format::TorchObject> object_;
  std::filesystem::path path_;
  std::size_t source_ = 0;
  std::uint64_t base_ = 0;
};

/// True for a call that makes a tensor of any kind.
bool is_tensor(const format::PickleView& view, const format::PickleValue& value) noexcept;

/// The state of an object whose class, called `type`, is derived from torch.Tensor
/// (_rebuild_from_type_v2); nullopt for anything else.
std::optional<format::PickleValue> state_of_subclass(const format::PickleView& view,
                                                     const format::PickleValue& value,
                                                     std::string_view type);

}  // namespace ferrule::rescues
