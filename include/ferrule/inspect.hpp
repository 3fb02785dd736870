// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/export.hpp"
#include "ferrule/file_kind.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// Tensors by number: what fits into one row of a table.
struct FERRULE_API TensorTotals {
  std::uint64_t tensors = 0;
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
  /// Tensors of each dtype.
  std::map<Dtype, std::uint64_t> dtypes;

  void add(const TensorView& tensor);
  void add(const TensorTotals& other);
};

/// One adapter in few words, and whether it is good. Only headers and configs are read for it.
struct AdapterSummary {
  std::filesystem::path directory;
  /// Empty if the config could not be read, as are the fields below.
  std::string peft_type;
  std::optional<std::string> task_type;
  std::optional<std::string> base_model;
  std::optional<std::int64_t> rank;
  std::optional<double> alpha;
  /// Plain name in `directory`; empty if the weights could not be read.
  std::string weights_file;
  std::uint64_t file_bytes = 0;
  TensorTotals totals;
  /// As of Adapter::findings(), or why it could not be opened.
  std::vector<Finding> findings;
  /// The I/O error that prevented an answer (permission, ...), as opposed to bad data.
  std::optional<Error> system_error;

  bool good() const noexcept { return !system_error && !has_error(findings); }
};

/// May be called from any number of threads at once.
/// Never fails: what prevents reading is in the summary.
FERRULE_API AdapterSummary inspect_adapter(const std::filesystem::path& directory,
                                           const OpenOptions& options = {});

/// The adapters of a folder and of all folders below it.
struct FERRULE_API FolderSummary {
  /// Sorted by path.
  std::vector<AdapterSummary> adapters;
  /// Folders looked into.
  std::uint64_t directories = 0;
  /// Folders that could not be listed.
  std::vector<Error> unreadable;

  std::uint64_t bad() const noexcept;
  TensorTotals totals() const;
  std::uint64_t file_bytes() const noexcept;
};

struct FolderOptions {
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. They divide the folders.
  unsigned threads = 1;
  OpenOptions open = {};
  /// Called from one thread at a time, now and then, with the adapters read so far.
  std::function<void(std::uint64_t adapters)> progress = {};
  /// A file that keeps the summaries for the next call on this folder, which then reads only the
  /// adapters whose directory or files have changed (device, inode, size, time of change or of
  /// modification). Made if it does not exist, and written again if more than one in 128 of its
  /// adapters have changed. Empty: none. For local file systems.
  std::filesystem::path memo = {};
};

/// An adapter is a folder with an adapter_config.json or with
/// adapter_model.safetensors or .bin. Links are followed, each
/// folder is visited once; what belongs to a save that is not finished is left out.
/// Fails with kNotFound, kIo or kUnsupported if `folder` itself cannot be listed, or with kIo if
/// the memo cannot be written.
FERRULE_API Result<FolderSummary> inspect_folder(const std::filesystem::path& folder,
                                                 const FolderOptions& options = {});

/// One tensor by name, without its content.
struct TensorSummary {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<std::uint64_t> shape;
  std::uint64_t bytes = 0;
};

/// What the headers of a container, or of a checkpoint of several, say.
struct ContainerSummary {
  std::vector<std::filesystem::path> files;
  /// "safetensors", "safetensors index", "torch", ...
  std::string container;
  std::uint64_t file_bytes = 0;
  TensorTotals totals;
  /// In the order of the file.
  std::vector<TensorSummary> tensors;
  /// Of a single safetensors file.
  Metadata metadata;
};

/// Opens any file that Checkpoint opens. Fails as that does.
FERRULE_API Result<ContainerSummary> inspect_container(const std::filesystem::path& path,
                                                       const OpenOptions& options = {});

/// What is at a path.
enum class PathKind : std::uint8_t {
  kFile,
  /// A directory that is an adapter itself.
  kAdapter,
  /// Any other directory.
  kFolder,
};

/// Fails with kNotFound or kIo.
FERRULE_API Result<PathKind> path_kind(const std::filesystem::path& path);

}  // namespace ferrule
