// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ferrule/hub.hpp"
#include "ferrule/result.hpp"
#include "hub/files/session.hpp"

namespace ferrule::hub {

Result<PullReport> pull_from_store(Session& session, const std::string& source,
                                   const PullOptions& options);

}  // namespace ferrule::hub
