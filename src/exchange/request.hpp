// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

#include "exchange/dialect.hpp"
#include "exchange/middle.hpp"
#include "ferrule/exchange.hpp"

namespace ferrule::exchange {

/// By name, with a suggestion. Fails with kInvalidArgument.
Result<const Dialect*> named_dialect(std::string_view name);

/// The options with the base opened.
Result<Request> make_request(const ExchangeOptions& options);

/// A source that was recognized, read and checked (EX-8).
struct ReadSource {
  const Dialect* from = nullptr;
  Middle middle = {};
};
Result<ReadSource> read_source(const std::filesystem::path& source, const ExchangeOptions& options,
                               const Request& request);

}  // namespace ferrule::exchange
