// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <string_view>

#include "ferrule/json.hpp"

namespace ferrule::python {

/// A JSON value as Python's json module would give it: dict, list, str, int, float, bool, None.
nanobind::object from_json(const Json& value);

/// The document of a report (`--json`).
nanobind::object document_of(Json::Object fields);

/// The reverse: tuples and sets become lists (sets sorted, since they have no order), str and int
/// enumerations their value. Raises TypeError for anything else, naming `argument`.
Json to_json(nanobind::handle value, std::string_view argument);

}  // namespace ferrule::python
