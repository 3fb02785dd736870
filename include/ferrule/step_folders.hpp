// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// A folder `checkpoint-STEP`.
struct StepFolder {
  std::uint64_t step = 0;
  std::filesystem::path directory;
};

/// The folders `checkpoint-STEP` of a directory that have a file called `marker`, by step; none if
/// there is no such directory. What a StepFolderWriter has not finished has another name. May be
/// called from any number of threads at once. Fails with kIo.
FERRULE_API Result<std::vector<StepFolder>> step_folders(const std::filesystem::path& directory,
                                                         const std::string& marker);

/// Makes a folder `checkpoint-STEP` that appears whole or not at all, whatever is written into it,
/// and by whom:
///
///   auto writer = StepFolderWriter::begin("run", 500);
///   ... write into writer->path() ...
///   auto folder = writer->commit();  // run/checkpoint-500
///
/// Without commit() nothing is left. One thread and one process at a time for a step.
class FERRULE_API StepFolderWriter {
 public:
  /// Makes `directory` if it is missing, and removes what an earlier process left of this step.
  /// Fails with kInvalidArgument if there is a folder of this step (PB-4), or with kIo.
  static Result<StepFolderWriter> begin(const std::filesystem::path& directory, std::uint64_t step);

  StepFolderWriter(StepFolderWriter&&) noexcept;
  StepFolderWriter& operator=(StepFolderWriter&&) noexcept;
  ~StepFolderWriter();

  /// The hidden folder to write into. The files are the caller's to flush.
  const std::filesystem::path& path() const& noexcept;

  /// Gives the folder its name, in one step. Then removes the oldest of step_folders() until
  /// `keep` are left, never this one; 0 keeps all. Fails with kIo.
  Result<std::filesystem::path> commit(const std::string& marker = {}, std::uint64_t keep = 0,
                                       Durability durability = Durability::kSafe);

 private:
  struct Rep;
  explicit StepFolderWriter(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

}  // namespace ferrule
