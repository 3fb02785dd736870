// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/model_facts.hpp"
#include "ferrule/result.hpp"
#include "ferrule/selection.hpp"
#include "ferrule/tensor_source.hpp"
#include "ferrule/weights_format.hpp"
#include "ferrule/written_file.hpp"

namespace ferrule {

/// What floating-point adapter tensors are converted to (round to nearest even); kKeep copies.
enum class StoredDtype : std::uint8_t { kKeep, kF32, kBF16, kF16 };

enum class WriteCard : std::uint8_t {
  kYes,
  kNo,
  kPlain,  ///< Without the section about Ferrule.
};

/// The key of a safetensors file's metadata under which a save keeps the fingerprint of the base.
inline constexpr const char* kBaseFingerprintKey = "ferrule.base_fingerprint";

struct SaveOptions {
  /// Names of adapters to save, in that order; empty saves all configured ones.
  std::vector<std::string> selected_adapters = {};
  WeightsFormat format = WeightsFormat::kSafetensors;
  SaveEmbeddings save_embedding_layers = SaveEmbeddings::kAuto;
  /// `path_initial_model_for_weight_conversion`: the adapter as it was right after initialization.
  std::optional<std::filesystem::path> initial = {};
  /// Take `initial` as the start of this adapter even if its config says that it was initialized in
  /// another way. For callers that hold the live model: PEFT rewrites that config from it.
  bool trust_initial = false;
  /// The base model's config.json, for the vocabulary rule of SaveEmbeddings::kAuto; null if
  /// unknown.
  Json base_config = {};
  /// What a live model would know.
  ModelFacts facts = {};
  StoredDtype dtype = StoredDtype::kKeep;
  WriteCard card = WriteCard::kYes;
  /// BaseModel::fingerprint() of the base, kept in the metadata of safetensors files for `check` to
  /// compare. PEFT's own bytes have none: empty writes those.
  std::string base_fingerprint = {};
  Durability durability = Durability::kSafe;
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. With two, values are checked while the weights are written.
  unsigned threads = 1;
  /// Fills SaveReport::written, so that a push that follows has nothing to hash. Costs a hash of
  /// everything on the way to the disk.
  bool digests = false;
};

/// One saved adapter.
struct SavedAdapter {
  std::string name;
  std::filesystem::path directory;
  std::string peft_type;
  std::uint64_t tensors = 0;
  std::uint64_t parameters = 0;
  /// Size of the weights file.
  std::uint64_t file_bytes = 0;
  std::vector<std::string> files;
};

struct SaveReport {
  std::vector<SavedAdapter> adapters;
  /// Warnings and notes: what was inferred, what looks wrong without being surely so.
  std::vector<Finding> findings;
  std::vector<LeftOut> left_out;
  /// Bytes of all tensors in the state dict.
  std::uint64_t state_bytes = 0;
  /// All files, if SaveOptions::digests asks for them.
  std::vector<WrittenFile> written;
};

/// Saves adapters out of a state dict as PeftModel.save_pretrained does: the adapter called
/// "default" into `directory`, every other one into `directory/NAME`, together or not at all.
///
/// The state dict may be whole (base, every adapter, wrappers' prefixes) or any part that holds the
/// adapters' tensors. Before a byte is written the plan is verified (rules KY-* and AD-*); errors
/// refuse the save and leave the directory as it was.
///
/// May be called from any number of threads at once; calls for one output wait for each other.
/// Fails with kInvalidArgument (unknown adapter, impossible options), kCorrupt, kUnsupported,
/// kLimitExceeded or kIo.
FERRULE_API Result<SaveReport> save(const TensorSource& state, std::span<const NamedConfig> configs,
                                    const std::filesystem::path& directory,
                                    const SaveOptions& options = {});
FERRULE_API Result<SaveReport> save(const TensorSource& state,
                                    std::initializer_list<NamedConfig> configs,
                                    const std::filesystem::path& directory,
                                    const SaveOptions& options = {});

}  // namespace ferrule
