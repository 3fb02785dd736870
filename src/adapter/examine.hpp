// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/tensor_view.hpp"
#include "peft/disk_key.hpp"

namespace ferrule {
namespace adapter {

/// An adapter's tensors matched to the roles of its method, and what the AD rules find.
/// Views point into the tensors given.
struct Examination {
  Examination() = default;
  // The modules refer to the tensors: it moves, and is not copied.
  Examination(Examination&&) = default;
  Examination& operator=(Examination&&) = default;

  std::vector<AdapterTensor> tensors;
  /// The same by module, if they are not in `tensors`.
  std::vector<AdapterTensor> grouped;
  /// Parallel to `tensors`.
  std::vector<peft::DiskKey> keys;
  std::vector<AdapterModule> modules;
  /// Errors first.
  std::vector<Finding> findings;
};

/// Non-finite values, B matrices of zeros, and LILY's shared factors that are not (rules AD-20 to
/// AD-22): reads every value.
std::vector<Finding> examine_values(const AdapterConfig& config, const Examination& examination);

}  // namespace adapter

/// The way into Adapter and AdapterModule for the library itself.
struct AdapterAccess {
  /// As Adapter::open(), with OpenOptions::allow_errors whatever the options say: for what looks
  /// at an adapter, or judges it by rules of its own.
  static Result<Adapter> open(const std::filesystem::path& directory, const OpenOptions& options);
  /// Matches tensors with roles and checks them. Views point into `tensors`.
  static adapter::Examination examine(const AdapterConfig& config,
                                      std::span<const NamedTensor> tensors);
  /// Gives each module its tensors, `module_of` being its number for each tensor, and sorts them.
  static void hand_out(std::span<const std::size_t> module_of, adapter::Examination& result);
  /// Lets the modules of `result`, a copy of those of `from`, have the tensors of `result`.
  static void hand_over(const adapter::Examination& from, adapter::Examination& result) noexcept;
  /// The result of examine() when the adapter was opened; lives as long as the adapter.
  static const adapter::Examination& of(const Adapter& adapter) noexcept;
  /// The same for all adapters that differ in nothing but their values and their place; nullptr if
  /// others like it are not known.
  static std::shared_ptr<const void> likeness(const Adapter& adapter) noexcept;
};

}  // namespace ferrule
