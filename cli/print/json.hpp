// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "ferrule/error.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/json.hpp"

namespace ferrule::cli {

// FINDING, ERROR and SHAPE as docs/cli.md describes them.
Json to_json(const Finding& finding);
Json to_json(std::span<const Finding> findings);
Json to_json(const Error& error);
Json to_json(std::span<const std::uint64_t> shape);

/// An integer of a report as JSON.
inline Json number(std::uint64_t value) { return Json(value); }

/// A number of a report as JSON: an integer if it is whole, null if it does not exist or is not
/// finite.
Json real(const std::optional<double>& value);

/// The members of an object that was put together with set().
Json::Object fields_of(Json object);

/// Prints the one document of a `--json` run to standard output: `{"version": 1, fields...}`,
/// ASCII, indented, keys in their order. `version` changes when a field changes its meaning or is
/// removed.
void print_document(Json::Object fields);

}  // namespace ferrule::cli
