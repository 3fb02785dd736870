// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "ferrule/hub.hpp"
#include "ferrule/result.hpp"
#include "hub/files/session.hpp"

namespace ferrule::hub {

Result<PushReport> push_to_store(Session& session, const std::filesystem::path& directory,
                                 const std::string& destination, const PushOptions& options);

}  // namespace ferrule::hub
