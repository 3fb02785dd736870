// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"
#include "rescue/sources.hpp"

namespace ferrule::rescues {

/// Where a part of a tensor is: a box of it, or a range of its elements in row-major order.
struct Piece {
  std::size_t source = 0;
  /// Of the box, as many as the tensor has dimensions; of a range one: its first element.
  std::vector<std::uint64_t> offsets = {};
  std::vector<std::uint64_t> sizes = {};
  bool is_range = false;
  /// Of its first element in the file, in bytes.
  std::uint64_t start = 0;
  /// In elements; empty if its elements follow each other in row-major order.
  std::vector<std::uint64_t> strides = {};
  /// The record of a zip that holds it, whose checksum is compared.
  std::optional<std::size_t> record = {};
};

/// A tensor that a checkpoint has, whole or in pieces.
struct FoundTensor {
  /// In the state dict that was saved.
  std::string name = {};
  Dtype dtype = Dtype::kF32;
  /// What the files hold; the values are rounded to `dtype` if it is another one.
  Dtype stored = Dtype::kF32;
  std::vector<std::uint64_t> shape = {};
  std::vector<Piece> pieces = {};
  /// Copies of what one of `pieces` holds, in files of other ranks (RS-15).
  std::vector<Piece> replicas = {};
  /// Finds the pieces and replicas when they are wanted; empty if they are there.
  std::function<Result<void>(FoundTensor&)> locate = {};
  /// The checkpoint names it and does not hold it (base weights that were left out).
  bool is_absent = false;
  /// The files do not say its shape: `shape` is the number of its elements.
  bool is_flat = false;
};

/// What one step of a checkpoint holds.
struct Found {
  std::vector<FoundTensor> tensors = {};
  /// "a DeepSpeed ZeRO-3 checkpoint": for reports.
  std::string kind = {};
  std::filesystem::path folder = {};
  std::optional<std::int64_t> step = {};
  std::optional<std::uint64_t> world_size = {};
  std::vector<Finding> findings = {};
  /// True if it has the state of an optimizer.
  bool has_optimizer = false;

  /// RS-17: a note on what the files in `folder` cannot prove.
  void note_unproved(std::string message) {
    findings.push_back({.severity = Severity::kNote,
                        .rule = "RS-17",
                        .path = folder.string(),
                        .key = {},
                        .message = std::move(message),
                        .advice = {}});
  }
};

/// RS-4: the pieces cover the tensor exactly, each element once. Empty pieces are left out before.
Result<void> check_cover(const FoundTensor& tensor, const Sources& sources);

/// RS-15: every replica is equal to the pieces, to the bit.
Result<void> check_replicas(Sources& sources, const FoundTensor& tensor);

/// Fills `out` with the tensor's bytes from `offset` on, in its own dtype.
Result<void> gather(Sources& sources, const FoundTensor& tensor, std::uint64_t offset,
                    std::span<std::byte> out);

}  // namespace ferrule::rescues
