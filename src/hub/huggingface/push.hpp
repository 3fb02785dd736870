// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "ferrule/hub.hpp"
#include "ferrule/result.hpp"
#include "hub/files/session.hpp"

namespace ferrule::hub {

/// HubClient::push() to a repository of the Hub.
Result<PushReport> push_to_repository(Session& session, const std::filesystem::path& directory,
                                      const std::string& repo_id, const PushOptions& options);

}  // namespace ferrule::hub
