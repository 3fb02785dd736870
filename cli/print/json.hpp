// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "ferrule/json.hpp"
#include "ferrule/report_json.hpp"

namespace ferrule::cli {

// FINDING, ERROR and SHAPE as docs/cli.md describes them.
using ferrule::to_json;
Json to_json(std::span<const std::uint64_t> shape);

/// An integer of a report as JSON.
inline Json number(std::uint64_t value) { return Json(value); }

/// The members of an object that was put together with set().
Json::Object fields_of(Json object);

/// Prints the one document of a `--json` run to standard output: `{"version": 1, fields...}`,
/// ASCII, indented, keys in their order. `version` changes when a field changes its meaning or is
/// removed.
void print_document(Json::Object fields);

/// The "adapters" of a report's document: what a batch collects of each of its reports.
Json::Array adapters_of(const Json::Object& document);

}  // namespace ferrule::cli
