// SPDX-License-Identifier: Apache-2.0
#include "ferrule/hub.hpp"

namespace ferrule::hub {

Result<PushReport> push_to_hub(const std::filesystem::path& directory,
                               const std::string& destination, const PushOptions& options) {
  return HubClient().push(directory, destination, options);
}

Result<PullReport> snapshot(const std::string& source, const PullOptions& options) {
  return HubClient().pull(source, options);
}

bool is_remote(std::string_view text) noexcept { return text.rfind("hf://", 0) == 0; }

}  // namespace ferrule::hub
