// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/json.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/tensor_source.hpp"
#include "io/file_identity.hpp"
#include "io/input_file.hpp"
#include "io/transaction/directory_reader.hpp"
#include "model/quantized_weights.hpp"

namespace ferrule::merging {

/// A tensor of the base as it is on disk, or the plain weight that quantized tensors stand for.
struct DiskTensor {
  std::string name;
  TensorView view;
  std::size_t file = 0;      ///< In BaseFiles::weights.
  std::uint64_t offset = 0;  ///< Of its first byte in a safetensors file.
  /// What the weight is made of; `view` then has no bytes.
  std::shared_ptr<const model::QuantizedWeight> quantized = {};

  Dtype dtype() const noexcept { return view.dtype(); }
  std::span<const std::uint64_t> shape() const noexcept { return view.shape(); }
  std::uint64_t bytes() const noexcept { return view.bytes().size(); }
};

/// One file of weights.
struct WeightsFile {
  std::string name;
  io::InputFile input;
  io::FileIdentity identity;
  std::unique_ptr<TensorSource> source;
  bool is_torch = false;
  /// Of a safetensors file: where its data begins, and its metadata.
  std::uint64_t data_start = 0;
  Metadata metadata = {};
  bool has_metadata = false;
  /// Of BaseFiles::tensors, in the order of their data.
  std::vector<std::size_t> tensors = {};
  /// Some of its tensors are parts of quantized weights, which are shown in their place.
  bool dequantized = false;
};

/// The directory of a base model, opened once: its weights, and the files beside them.
class BaseFiles {
 public:
  /// Fails with kNotFound, kIo, kCorrupt, kUnsupported or kLimitExceeded.
  static Result<BaseFiles> open(const std::filesystem::path& directory, const OpenOptions& options);

  const io::DirectoryReader& reader() const noexcept { return *reader_; }
  const std::vector<WeightsFile>& weights() const noexcept { return weights_; }
  const std::vector<DiskTensor>& tensors() const noexcept { return tensors_; }
  /// The tensor of that name, or nullptr.
  const DiskTensor* find(std::string_view name) const noexcept;

  /// Shows each quantized weight as the plain one that it replaces, instead of its tensors. False
  /// if there are none. Fails with kUnsupported (MG-6) or kCorrupt (MG-11).
  Result<bool> show_dequantized(const Json& config);

  /// The name of the index; empty if there is none.
  const std::string& index_name() const noexcept { return index_name_; }
  const std::string& index_text() const noexcept { return index_text_; }
  /// All other files, sorted; folders are not among them.
  const std::vector<std::string>& others() const noexcept { return others_; }
  /// Files that hold this model's weights once more in another format: not merged into.
  const std::vector<std::string>& left_out() const noexcept { return left_out_; }
  const std::vector<std::string>& folders() const noexcept { return folders_; }

  /// Fails (MG-7) if a file of weights is not what it was when it was opened.
  Result<void> check_unchanged() const;

 private:
  BaseFiles() = default;
  Result<void> open_weights(const std::vector<std::string>& names, const OpenOptions& options);
  Result<void> add_file(const std::string& name, const OpenOptions& options);
  Result<void> sort_others(const std::vector<std::string>& names);

  std::optional<io::DirectoryReader> reader_;
  std::vector<WeightsFile> weights_;
  std::vector<DiskTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::string index_name_;
  std::string index_text_;
  std::vector<std::string> others_;
  std::vector<std::string> left_out_;
  std::vector<std::string> folders_;
};

}  // namespace ferrule::merging
