// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "exit_code.hpp"
#include "ferrule/error.hpp"
#include "ferrule/json.hpp"

namespace ferrule::cli {

/// Reports the failure of a whole operation: a line on standard error and, with `json`, the
/// document {"version", fields..., "error"}. Returns the exit code.
int fail(const Error& error, bool json, Json::Object fields = {});

/// The same for mistakes in the command line, one line each. `hint` ends the text.
int fail_usage(const std::vector<std::string>& mistakes, const std::string& hint, bool json);

}  // namespace ferrule::cli
