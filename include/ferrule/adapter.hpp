// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/adapter_module.hpp"
#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/tensor_source.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule {

/// Where an adapter was read from: for messages, and for the accessors of the same names. All of it
/// may be empty.
struct AdapterOrigin {
  std::filesystem::path directory = {};
  std::filesystem::path weights_file = {};
  /// `__metadata__` of a safetensors file.
  Metadata metadata = {};
  /// Size of the weights file.
  std::uint64_t file_bytes = 0;
};

/// An opened adapter: config, weights, and every tensor matched to a role of its method.
///
/// open() follows PEFT's own lookup (adapter_model.safetensors, then adapter_model.bin); make()
/// takes weights from anywhere else: memory, the network, a foreign format. Everything that is
/// wrong with what can be read (a rank that disagrees with the config, A without B) is listed in
/// findings(). open() fails with the first error among them, unless OpenOptions::allow_errors asks
/// to see such an adapter; with make() the caller asks first_error(). verify() (verify.hpp) judges
/// a path.
///
/// Views live as long as the Adapter; moving it invalidates nothing. Const members may be called
/// from any number of threads at once.
class FERRULE_API Adapter {
 public:
  /// `directory` as PEFT takes it. Fails with kNotFound, kIo, kCorrupt (also for the first error
  /// that the rules find), kUnsupported or kLimitExceeded.
  static Result<Adapter> open(const std::filesystem::path& directory,
                              const OpenOptions& options = {});

  /// The same from parts: tensors under the names that an adapter has on disk. Takes over
  /// `weights`; memory that it only refers to (StateDict, SafetensorsFile::from_bytes) must outlive
  /// the Adapter. Fails with kInvalidArgument if `weights` is null.
  ///
  ///   auto config = AdapterConfig::parse(config_text);
  ///   auto weights = SafetensorsFile::from_bytes(bytes);
  ///   if (!config || !weights) return ...;
  ///   auto adapter = Adapter::make(*std::move(config),
  ///                                std::make_unique<SafetensorsFile>(*std::move(weights)));
  static Result<Adapter> make(AdapterConfig config, std::unique_ptr<TensorSource> weights,
                              AdapterOrigin origin = {});

  Adapter(Adapter&&) noexcept;
  Adapter& operator=(Adapter&&) noexcept;
  ~Adapter();

  const AdapterConfig& config() const& noexcept;
  const AdapterConfig& config() const&& = delete;
  /// Sorted by path; what belongs to the whole model comes first.
  std::span<const AdapterModule> modules() const& noexcept;
  std::span<const AdapterModule> modules() const&& = delete;  // It would dangle.
  /// Every tensor, in the order of its source.
  std::span<const AdapterTensor> tensors() const& noexcept;
  std::span<const AdapterTensor> tensors() const&& = delete;
  /// The tensor of that key in the file, or nullptr. O(log n) at most.
  const AdapterTensor* find(std::string_view disk_key) const&;
  const AdapterTensor* find(std::string_view disk_key) const&& = delete;
  /// Where the weights file holds the tensor of that key, as TensorSource::range() says it: for an
  /// engine that reads the bytes by direct I/O, into pinned memory, or to a GPU.
  Result<FileRange> range(std::string_view disk_key) const;
  /// Everything that the AD, KY and CF rules found, errors first.
  std::span<const Finding> findings() const& noexcept;
  std::span<const Finding> findings() const&& = delete;
  /// One of findings() is an error: PEFT would not load it, or it would do something else than its
  /// config says.
  bool has_errors() const noexcept;
  /// The first error of findings() as open() returns it, or nullopt.
  std::optional<Error> first_error() const;

  const std::filesystem::path& directory() const& noexcept;
  const std::filesystem::path& directory() const&& = delete;
  const std::filesystem::path& weights_file() const& noexcept;
  const std::filesystem::path& weights_file() const&& = delete;
  const Metadata& metadata() const& noexcept;
  const Metadata& metadata() const&& = delete;
  std::uint64_t file_bytes() const noexcept;

  /// The key under which a PEFT model with an adapter of that name holds the tensor that is called
  /// `disk_key` on disk; nullopt if there is no such key, or if the model holds it in two parts
  /// (CARTRIDGE's frozen and trainable rows, which state_dict() has).
  std::optional<std::string> live_key(std::string_view disk_key,
                                      std::string_view adapter_name = "default") const;

  /// The live state dict: (live key, view), in the order of tensors(). What a prompt encoder has in
  /// training only (its MLP, its LSTM) is in no adapter, and not here.
  std::vector<std::pair<std::string, TensorView>> state_dict(
      std::string_view adapter_name = "default") const&;
  std::vector<std::pair<std::string, TensorView>> state_dict(
      std::string_view adapter_name = "default") const&& = delete;

 private:
  friend struct AdapterAccess;
  struct Rep;
  explicit Adapter(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

}  // namespace ferrule
