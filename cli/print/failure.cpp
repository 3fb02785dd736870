// SPDX-License-Identifier: Apache-2.0
#include "print/failure.hpp"

#include <utility>

#include "print/findings.hpp"
#include "print/json.hpp"
#include "terminal.hpp"

namespace ferrule::cli {

int fail(const Error& error, bool json, Json::Object fields) {
  report(error);
  if (json) {
    fields.emplace_back("error", to_json(error));
    print_document(std::move(fields));
  }
  return exit_code(error);
}

int fail_usage(const std::vector<std::string>& mistakes, const std::string& hint, bool json) {
  std::string sentence;
  for (const auto& mistake : mistakes) {
    print(Stream::kErr, "ferrule: " + mistake + "\n");
    sentence += (sentence.empty() ? "" : "; ") + mistake;
  }
  print(Stream::kErr, hint);
  if (json) {
    const Error error{.code = ErrorCode::kInvalidArgument, .message = sentence};
    print_document({{"error", to_json(error)}});
  }
  return kUsage;
}

}  // namespace ferrule::cli
