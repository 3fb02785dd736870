// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "adapter/examine.hpp"
#include "container/known_layouts.hpp"
#include "ferrule/adapter_config.hpp"

namespace ferrule::adapter {

/// A config and a layout of weights that belong together and with which nothing is wrong, not even
/// a note: all of what an adapter is but its values. Adapters that have both share it.
struct Examined {
  std::string config_text;
  std::shared_ptr<const AdapterConfig> config;
  container::SharedLayout layout;
  /// Of the adapter that was opened first; its tensors are views of data that begin there.
  Examination examination;
  const std::byte* data = nullptr;
};

using SharedExamined = std::shared_ptr<const Examined>;

// The last few are kept. All functions may be called from any thread.

/// A config with that text that was found good before, or nullptr.
std::shared_ptr<const AdapterConfig> find_config(std::string_view text);

/// nullptr if that config and that layout have not been together before.
SharedExamined find_examined(const AdapterConfig& config,
                             const container::SafetensorsLayout& layout);

void keep_examined(SharedExamined examined);

/// The same for an adapter whose data begin at `data`.
Examination examination_in(const Examined& examined, const std::byte* data);

}  // namespace ferrule::adapter
