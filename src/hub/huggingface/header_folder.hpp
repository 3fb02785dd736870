// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "ferrule/result.hpp"
#include "hub/files/session.hpp"
#include "hub/huggingface/pull.hpp"
#include "io/hollow_folder.hpp"

namespace ferrule::hub {

/// The adapter in `folder` of a repository whose pull has begun, without the data of its weights:
///
///   adapter_config.json         as it is
///   adapter_model.safetensors   its header, fetched by range requests, then a hole of zeros up to
///                               the file's real size
///
/// A folder without an adapter is taken for a base model: config.json,
/// model.safetensors.index.json, and the headers of the shards that it names, or of
/// model.safetensors.
///
/// That is enough to list tensors, and not to check values. nullopt if the whole adapter should be
/// pulled instead: its weights are small, cached already, not safetensors, without a header that
/// can be read, or on a server without ranges.
Result<std::optional<io::HollowFolder>> fetch_header_folder(Session& session, Pull& pull,
                                                            const std::string& folder);

}  // namespace ferrule::hub
