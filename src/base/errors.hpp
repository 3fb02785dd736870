// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ferrule/error.hpp"

namespace ferrule::base {

/// Makers of Error. `rule` is a number of docs/rules; leave it out if no rule applies. `message` is
/// one sentence without a full stop: what was expected, what was found.
Error make_error(ErrorCode code, std::string_view rule, std::string message);

Error invalid(std::string_view rule, std::string message);
Error invalid(std::string message);
Error not_found(std::string_view rule, std::string message);
Error not_found(std::string message);
Error corrupt(std::string_view rule, std::string message);
Error corrupt(std::string message);
Error unsupported(std::string_view rule, std::string message);
Error unsupported(std::string message);
Error over_limit(std::string_view rule, std::string message);
Error over_limit(std::string message);

/// The error as one of the file or directory `path`, whatever it named before.
Error at(Error error, std::string path);

}  // namespace ferrule::base
