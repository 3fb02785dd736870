// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/failure.hpp"

#include <array>
#include <cstddef>
#include <utility>

#include "ferrule/hub.hpp"

namespace ferrule::hub {
namespace {

struct Rule {
  const char* id;
  const char* kind;
  ErrorCode code;
};

constexpr std::array<Rule, 21> kRules = {{
    {"HB-1", "usage", ErrorCode::kInvalidArgument},
    {"HB-2", "offline", ErrorCode::kIo},
    {"HB-3", "network", ErrorCode::kIo},
    {"HB-4", "authentication", ErrorCode::kIo},
    {"HB-5", "repository_not_found", ErrorCode::kNotFound},
    {"HB-6", "gated", ErrorCode::kIo},
    {"HB-7", "revision_not_found", ErrorCode::kNotFound},
    {"HB-8", "entry_not_found", ErrorCode::kNotFound},
    {"HB-9", "forbidden", ErrorCode::kIo},
    {"HB-10", "rate_limited", ErrorCode::kIo},
    {"HB-11", "server", ErrorCode::kIo},
    {"HB-12", "bad_answer", ErrorCode::kIo},
    {"HB-13", "integrity", ErrorCode::kCorrupt},
    {"HB-14", "unsafe_path", ErrorCode::kCorrupt},
    {"HB-15", "public", ErrorCode::kIo},
    {"HB-16", "conflict", ErrorCode::kIo},
    {"HB-17", "card", ErrorCode::kCorrupt},
    {"HB-18", "upload_refused", ErrorCode::kIo},
    {"HB-19", "changed", ErrorCode::kIo},
    {"HB-20", "incomplete", ErrorCode::kIo},
    {"HB-21", "cancelled", ErrorCode::kIo},
}};

}  // namespace

Error fail(Failure failure, std::string message, std::string path) {
  const auto& rule = kRules.at(static_cast<std::size_t>(failure));
  Error error;
  error.code = rule.code;
  error.rule = rule.id;
  error.message = std::move(message);
  error.path = std::move(path);
  return error;
}

bool is(const Error& error, Failure failure) noexcept {
  return error.rule == kRules[static_cast<std::size_t>(failure)].id;
}

Error stopped() { return fail(Failure::kNetwork, "stopped, because another transfer failed"); }

std::string_view failure_kind(const Error& error) noexcept {
  for (const auto& rule : kRules) {
    if (error.rule == rule.id) return rule.kind;
  }
  if (error.code == ErrorCode::kInvalidArgument && error.rule.empty()) return "usage";
  if (is_system_failure(error)) return "system";
  return "adapter";
}

}  // namespace ferrule::hub
