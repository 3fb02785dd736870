// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule {

/// A tensor of an adapter: what it is called on disk, and what it is to its method.
struct AdapterTensor {
  /// The key in the file.
  std::string_view key;
  /// The method's own word for it ("lora_A", "ia3_l", "hada_w1_a"); "modules_to_save", "bias",
  /// "embedding" or "trainable_tokens" for what every method may carry; empty where nothing
  /// explains it (an AD finding says so).
  std::string_view role;
  /// The rest of the key below the role ("weight", "bias", "0.weight"); may be empty.
  std::string_view leaf;
  TensorView tensor;
};

/// A module of the base model that the adapter changes, with its tensors. A view into an Adapter.
class FERRULE_API Module {
 public:
  /// The path in the base model, without `base_model.model.`; empty for what belongs to the whole
  /// model (a shared projection, a prompt).
  std::string_view path() const noexcept;

  /// The tensor of that role, or nullopt. Where a role has several (`lora_B.weight` and
  /// `lora_B.bias`), the weight; ask with the leaf ("lora_B.bias") for others.
  std::optional<TensorView> tensor(std::string_view role) const noexcept;

  std::span<const AdapterTensor> tensors() const noexcept;

  /// The factor on the update, r, alpha, rsLoRA and patterns resolved; 1 where the method has none.
  double strength() const noexcept;

  /// The same with its rank, alpha and the rule that won.
  const ModuleStrength& resolved() const noexcept;

 private:
  friend class Adapter;
  friend struct AdapterBuilder;
  std::string path_;
  std::vector<AdapterTensor> tensors_;
  ModuleStrength strength_;
};

/// An opened adapter: config, weights, and every tensor matched to a role of its method.
///
/// open() follows PEFT's own lookup (adapter_model.safetensors, then adapter_model.bin) and fails
/// on what cannot be read at all; what can be read but is wrong (a rank that disagrees with the
/// config, A without B) stands in findings(), so that a tool can show it. verify() (verify.hpp)
/// judges. Views live as long as the Adapter; moving it invalidates nothing.
class FERRULE_API Adapter {
 public:
  /// `directory` as PEFT takes it. Fails with kNotFound, kIo, kCorrupt, kUnsupported or
  /// kLimitExceeded.
  static Result<Adapter> open(const std::filesystem::path& directory,
                              const OpenOptions& options = {});

  Adapter(Adapter&&) noexcept;
  Adapter& operator=(Adapter&&) noexcept;
  ~Adapter();

  const AdapterConfig& config() const& noexcept;
  const AdapterConfig& config() const&& = delete;
  /// Sorted by path; what belongs to the whole model comes first.
  std::span<const Module> modules() const& noexcept;
  std::span<const Module> modules() const&& = delete;  // It would dangle.
  /// Every tensor of the file.
  std::span<const AdapterTensor> tensors() const& noexcept;
  std::span<const AdapterTensor> tensors() const&& = delete;
  /// Everything the AD, KY and CF rules have to say, errors first.
  std::span<const Finding> findings() const& noexcept;
  std::span<const Finding> findings() const&& = delete;

  const std::filesystem::path& directory() const noexcept;
  const std::filesystem::path& weights_file() const noexcept;
  const Metadata& metadata() const noexcept;
  std::uint64_t file_bytes() const noexcept;

  /// The key under which a PEFT model with an adapter of that name holds the tensor on disk as
  /// `disk_key`; nullopt where the file has no such key, or where the model holds it in two parts
  /// (CARTRIDGE's frozen and trainable rows, which state_dict() has).
  std::optional<std::string> live_key(std::string_view disk_key,
                                      std::string_view adapter_name = "default") const;

  /// The live state dict: (live key, view), in the order of tensors(). What a prompt encoder has in
  /// training only (its MLP, its LSTM) is in no adapter, and not here.
  std::vector<std::pair<std::string, TensorView>> state_dict(
      std::string_view adapter_name = "default") const;

 private:
  friend struct AdapterBuilder;
  struct Rep;
  explicit Adapter(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

}  // namespace ferrule
