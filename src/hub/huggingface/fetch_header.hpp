// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "ferrule/result.hpp"
#include "hub/files/remote_file.hpp"
#include "hub/files/session.hpp"
#include "hub/huggingface/pull.hpp"

namespace ferrule::hub {

/// The beginning of a safetensors file up to the end of its header, by range requests. nullopt if
/// the server does not serve ranges, or if there is no header that could be read, which is for the
/// reader of the whole file to report.
Result<std::optional<std::string>> fetch_header(Session& session, const Pull& pull,
                                                const RemoteFile& file);

}  // namespace ferrule::hub
