// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/file_kind.hpp"
#include "ferrule/json.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/tensor_source.hpp"
#include "peft/dialect.hpp"

namespace ferrule::exchange {

/// The file's tensors, whatever its format, with its safetensors metadata.
struct OpenedTensors {
  std::shared_ptr<const TensorSource> tensors;
  Metadata metadata = {};
};

/// A source as it is seen from outside: what kind of files, and whose names and fields are in them.
struct Look {
  std::filesystem::path path;
  bool is_folder = false;
  /// Of a folder: names in it, sorted. Folders end in '/'.
  std::vector<std::string> names = {};
  /// Of a file.
  FileKind kind = FileKind::kUnknown;
  /// adapter_config.json of a folder; null if there is none that can be read.
  Json config = {};
  /// What the one recognizer makes of the config and of the first tensor's name; may be null.
  const peft::Dialect* config_dialect = nullptr;
  const peft::Dialect* key_dialect = nullptr;
  /// A tensor is named as PEFT names them ("base_model.model....").
  bool has_peft_keys = false;
  /// The tensors of a file that Ferrule reads as tensors (safetensors, torch); null otherwise.
  std::shared_ptr<const TensorSource> tensors = {};
  Metadata metadata = {};
  /// Of a folder: the file that was opened to look at its names, and its name; "" for none.
  std::string opened_name = {};
  OpenedTensors opened = {};
  /// A torch file with all that Lightning keeps of a training.
  bool is_lightning = false;
  /// Why the tensors could not be read, if they could not.
  std::optional<Error> trouble = {};

  bool has(std::string_view name) const;
  std::filesystem::path at(std::string_view name) const { return path / name; }
  /// The tensors of a file of the folder, as open_tensors() with what look_at() was given.
  Result<OpenedTensors> open(std::string_view name, const OpenOptions& options) const;
  /// Either of the two dialects is the one of that name.
  bool recognized_as(std::string_view name) const;
};

/// Fails with kNotFound or kIo.
Result<Look> look_at(const std::filesystem::path& path, const OpenOptions& options);

Result<OpenedTensors> open_tensors(const std::filesystem::path& path, const OpenOptions& options);

/// A JSON file, or null if there is none.
Result<Json> read_json(const std::filesystem::path& path);

}  // namespace ferrule::exchange
