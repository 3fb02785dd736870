// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ferrule/dtype.hpp"

namespace ferrule::format {

/// What a global on the allow-list means to us. Nothing is ever imported: a global is a name.
enum class GlobalId : std::uint8_t {
  kUnknown,
  kOrderedDict,
  kRebuildTensor,
  kRebuildTensorV2,
  kRebuildTensorV3,
  kRebuildParameter,
  kRebuildParameterWithState,
  kStorage,         ///< A typed storage class; see GlobalFacts::dtype.
  kUntypedStorage,  ///< Counted in bytes.
  kDtype,
  kSize,
  kSet,
  /// A harmless value that no state dict of ours needs: torch.device, bytes, complex.
  kInert,
  /// A tensor of a kind that we refuse, which GlobalFacts::what names.
  kRefusedTensor,
  /// A dtype or storage that we refuse, which GlobalFacts::what names.
  kRefusedDtype,
};

struct GlobalFacts {
  GlobalId id = GlobalId::kUnknown;
  /// Of a storage class or a dtype.
  Dtype dtype = Dtype::kU8;
  /// What a refused one is, for messages.
  std::string_view what = {};
};

/// The entry of the allow-list with exactly that name, or nullopt. Python 2's names of modules are
/// known as well.
std::optional<GlobalFacts> find_global(std::string_view module, std::string_view name) noexcept;

/// The same for what `.metadata` of torch's distributed checkpoints needs besides (PK-22): all of
/// it is GlobalId::kInert, read by its name.
std::optional<GlobalFacts> find_dcp_global(std::string_view module, std::string_view name) noexcept;

/// Plain values in the files of trainers (PK-21) whose modules also hold what runs code.
std::optional<GlobalFacts> find_trainer_global(std::string_view module,
                                               std::string_view name) noexcept;

/// What a global that is not on the list may do. Only for reports: everything that is not on the
/// list is refused.
enum class GlobalThreat : std::uint8_t {
  kDangerous,      ///< Runs commands or code, reaches files or the network, or reaches anything.
  kUnknown,        ///< Nothing is known about it.
  kTrainingState,  ///< Known from the files that trainers write; builds plain values.
};
GlobalThreat threat_of(std::string_view module, std::string_view name) noexcept;

/// Why a global that is not on the list is notorious ("runs shell commands"), or an empty text.
/// Only for messages: no decision depends on it.
std::string_view notorious_global(std::string_view module, std::string_view name) noexcept;

}  // namespace ferrule::format
