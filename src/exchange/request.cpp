// SPDX-License-Identifier: Apache-2.0
#include "exchange/request.hpp"

#include <string>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/limits.hpp"
#include "ferrule/text.hpp"
#include "io/kind_at.hpp"

namespace ferrule::exchange {

Result<const Dialect*> named_dialect(std::string_view name) {
  if (const auto* found = find_dialect(name)) return found;
  std::vector<std::string_view> names;
  for (const auto* dialect : all_dialects()) names.push_back(dialect->name());
  std::string message = "there is no dialect " + quote(name);
  if (const auto near = suggest(name, names)) message += "; did you mean " + std::string(*near);
  return base::invalid(std::move(message));
}

Result<Request> make_request(const ExchangeOptions& options) {
  Request request;
  if (options.base) {
    FERRULE_TRY(request.base, open_base(*options.base, options.open));
  }
  if (options.config) {
    FERRULE_TRY(const auto kind, io::kind_at(*options.config));
    if (kind == io::EntryKind::kNothing) {
      return base::at(base::not_found("there is no such file"), *options.config);
    }
  }
  request.config = options.config;
  request.key = options.open.torch_key;
  request.dtype = options.dtype;
  request.arch = options.arch;
  request.open = options.open;
  return request;
}

Result<ReadSource> read_source(const std::filesystem::path& source, const ExchangeOptions& options,
                               const Request& request) {
  FERRULE_TRY(const auto look, look_at(source, options.open));
  ReadSource out;
  if (options.from.empty()) {
    FERRULE_TRY(out.from, dialect_of(look));
  } else {
    FERRULE_TRY(out.from, named_dialect(options.from));
  }
  auto read = out.from->read(look, request);
  if (!read) {
    auto error = read.error();
    if (error.path.empty()) error.path = source.string();
    return error;
  }
  out.middle = std::move(read).value();
  FERRULE_CHECK(check_sites(out.middle, source));
  return out;
}

}  // namespace ferrule::exchange
