// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/http_failure.hpp"

#include <cstddef>
#include <optional>
#include <utility>

#include "ferrule/text.hpp"
#include "hub/transport/answer.hpp"
#include "hub/transport/failure.hpp"

namespace ferrule::hub {
namespace {

constexpr std::size_t kMaxWords = 600;

std::string text_of(const Json& value) {
  if (const auto* text = value.if_string()) return *text;
  std::string joined;
  if (const auto* items = value.if_array()) {
    for (const auto& item : *items) {
      const auto* text = item.if_string();
      if (text == nullptr && item.find("message") != nullptr)
        text = item.find("message")->if_string();
      if (text != nullptr) joined += (joined.empty() ? "" : "; ") + *text;
    }
  }
  return joined;
}

/// The message as the server wrote it.
std::string raw_words(const Response& response) {
  if (const auto header = response.header("x-error-message"); !header.empty()) {
    return std::string(header);
  }
  const auto json = parse_json(response.text);
  if (json) {
    for (const auto* name : {"error_description", "error", "errors", "message"}) {
      if (const auto* found = json->find(name)) {
        if (auto text = text_of(*found); !text.empty()) return text;
      }
    }
    return {};
  }
  const auto start = response.text.find_first_not_of(" \t\r\n");
  // HTML does not help anyone in a terminal.
  if (start == std::string::npos || response.text[start] == '<') return {};
  return response.text;
}

struct Meaning {
  Failure failure;
  const char* text;
};

std::optional<Meaning> coded_meaning(std::string_view code) {
  if (code == "RevisionNotFound")
    return Meaning{Failure::kNoRevision, "the revision does not exist"};
  if (code == "EntryNotFound") return Meaning{Failure::kNoEntry, "the file does not exist"};
  if (code == "GatedRepo") {
    return Meaning{
        Failure::kGated,
        "the repository is gated: ask for access on its page, and log in with a token of "
        "an account that has it"};
  }
  if (code == "RepoNotFound") {
    return Meaning{
        Failure::kNoRepository,
        "the repository does not exist, or is private and the token has no access to it"};
  }
  return std::nullopt;
}

Meaning meaning_of(const Response& response, std::string_view words) {
  if (words == "Access to this resource is disabled.") {
    return {Failure::kForbidden, "the repository is disabled"};
  }
  if (response.status == 401 && words == "Invalid credentials in Authorization header") {
    return {Failure::kAuthentication, "authentication failed: the token is wrong or expired"};
  }
  if (const auto coded = coded_meaning(response.header("x-error-code"))) return *coded;
  switch (response.status) {
    case 401:
      return {Failure::kAuthentication,
              "authentication failed: the token is missing, wrong or expired (set HF_TOKEN, or run "
              "`hf auth login`)"};
    case 402:
      return {Failure::kForbidden, "the Hub asks for payment"};
    case 403:
      return {Failure::kForbidden, "the token has no permission for this"};
    case 404:
      return {Failure::kNoEntry, "it does not exist"};
    case 409:
    case 412:
      return {Failure::kConflict, "it was changed by another client at the same time"};
    case 429:
      return {Failure::kRateLimited, "too many requests"};
    default:
      break;
  }
  if (response.status >= 500) return {Failure::kServer, "the server failed"};
  return {Failure::kServer, "the server refused"};
}

}  // namespace

std::string server_words(const Response& response) {
  const auto words = raw_words(response);
  return words.empty() ? std::string() : quote(words, kMaxWords);
}

Error http_failure(const Response& response, std::string_view what) {
  const auto words = raw_words(response);
  const auto meaning = meaning_of(response, words);
  std::string message =
      std::string(what) + ": " + meaning.text + " (HTTP " + std::to_string(response.status);
  if (!response.request_id().empty()) {
    message += ", request " + printable(response.request_id(), 100);
  }
  message += ")";
  if (!words.empty()) message += "; the server says " + quote(words, kMaxWords);
  auto error = fail(meaning.failure, std::move(message));
  error.http_status = response.status;
  error.request_id = printable(response.request_id(), 100);
  return error;
}

}  // namespace ferrule::hub
