// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "ferrule/export.hpp"
#include "ferrule/json.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

namespace model {
struct BaseIndex;
}

/// A base model as its headers show it: names, shapes and config, never a weight. Opened once, it
/// may be asked about any number of adapters; const members may be called from any number of
/// threads at once.
class FERRULE_API BaseModel {
 public:
  /// `path` is a directory (sharded or single weights, with config.json), an index, a file
  /// of tensors that is not an adapter, or a config.json on its own. Fails with kNotFound, kIo,
  /// kCorrupt, kUnsupported or kLimitExceeded.
  static Result<BaseModel> open(const std::filesystem::path& path, const OpenOptions& options = {});

  BaseModel(BaseModel&&) noexcept;
  BaseModel& operator=(BaseModel&&) noexcept;
  ~BaseModel();

  /// False if only a config.json was given: what the model holds is then not known.
  bool has_tensors() const noexcept;
  std::uint64_t tensor_count() const noexcept;
  /// The config.json, or null.
  const Json& config() const& noexcept;
  const Json& config() const&& = delete;  // It would dangle.
  /// The class that the config names first, or "".
  const std::string& class_name() const& noexcept;
  const std::string& class_name() const&& = delete;

  /// SHA-256 of the sorted names and shapes as they are on disk, 64 hex digits; dtypes, values
  /// and the division into files do not change it. Empty without tensors.
  const std::string& fingerprint() const& noexcept;
  const std::string& fingerprint() const&& = delete;

 private:
  friend struct BaseModelAccess;
  explicit BaseModel(std::unique_ptr<const model::BaseIndex> index) noexcept;
  std::unique_ptr<const model::BaseIndex> index_;
};

}  // namespace ferrule
