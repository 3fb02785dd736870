// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "ferrule/hub.hpp"
#include "hub/files/session.hpp"
#include "hub/object_store/object_store.hpp"
#include "hub/object_store/pull_from_store.hpp"
#include "hub/object_store/push_to_store.hpp"

namespace ferrule::hub {

Result<PushReport> push(const std::filesystem::path& directory, const std::string& destination,
                        const PushOptions& options, const Settings& settings) {
  if (is_object_store(destination)) {
    Session session(settings);
    return push_to_store(session, directory, destination, options);
  }
  return HubClient(settings).push(directory, destination, options);
}

Result<PullReport> pull(const std::string& source, const PullOptions& options,
                        const Settings& settings) {
  if (is_object_store(source)) {
    auto own = settings;
    own.offline = own.offline || options.offline;
    Session session(std::move(own));
    return pull_from_store(session, source, options);
  }
  return HubClient(settings).pull(source, options);
}

bool is_remote(std::string_view text) noexcept {
  return text.rfind("hf://", 0) == 0 || is_object_store(text);
}

}  // namespace ferrule::hub
