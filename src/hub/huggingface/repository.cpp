// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/repository.hpp"

#include <algorithm>
#include <utility>

#include "base/try.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "hub/files/names.hpp"
#include "hub/transport/answer.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/http_failure.hpp"
#include "hub/transport/http_retry.hpp"
#include "hub/transport/url.hpp"

namespace ferrule::hub {
namespace {

constexpr int kBusyTries = 6;

bool is_busy(const Response& response) {
  return response.status == 409 && response.text.find("conflicting operation") != std::string::npos;
}

}  // namespace

Request json_post(std::string url, std::string what, Body& body) {
  Request request;
  request.method = Method::kPost;
  request.url = std::move(url);
  request.what = std::move(what);
  request.headers = {{"Content-Type", "application/json"}};
  request.with_token = true;
  request.body = &body;
  return request;
}

std::string Repository::api(std::string_view rest) const {
  return http_.settings().endpoint + "/api/models/" + percent_encode(id_, true) + std::string(rest);
}

std::string Repository::page(std::string_view rest) const {
  return http_.settings().endpoint + "/" + percent_encode(id_, true) + std::string(rest);
}

Result<Json> Repository::info(std::string_view revision) const {
  Request request;
  request.what = "repository " + id_;
  request.url = revision.empty() ? api() : api("/revision/" + percent_encode(revision, false));
  request.with_token = true;
  FERRULE_TRY(const auto response, http_.send(request));
  if (response.ok()) return json_answer(response, request.what);
  auto error = http_failure(response, request.what);
  // A 404 without an error code is about the repository here.
  if (is(error, Failure::kNoEntry)) {
    auto missing = fail(Failure::kNoRepository, error.message);
    missing.http_status = error.http_status;
    missing.request_id = error.request_id;
    return missing;
  }
  return error;
}

Result<bool> Repository::is_public() const {
  FERRULE_TRY(const auto facts, info());
  const auto* flag = facts.find("private");
  const auto* is_private = flag != nullptr ? flag->if_bool() : nullptr;
  if (is_private == nullptr) {
    return fail(Failure::kBadAnswer,
                "repository " + id_ + ": the Hub does not say whether it is private");
  }
  return !*is_private;
}

/// Takes the full id from the URL in the answer.
Result<void> Repository::take_id(const Response& response) {
  const auto json = parse_json(response.text);
  const auto url = json ? text_member(*json, "url") : std::string();
  auto id = at_endpoint(url, http_.settings().endpoint);
  const auto origin = http_.settings().endpoint + "/";
  if (id.rfind(origin, 0) == 0) {
    id = id.substr(origin.size());
  } else {
    const auto begin = url.find("://") == std::string::npos ? std::string::npos
                                                            : url.find('/', url.find("://") + 3);
    id = begin == std::string::npos ? std::string() : url.substr(begin + 1);
  }
  if (check_repo_id(id)) {
    id_ = std::move(id);
    return {};
  }
  if (id_.find('/') != std::string::npos) return {};
  return fail(Failure::kBadAnswer, "creating " + id_ + ": the answer does not contain the full id");
}

Result<bool> Repository::create(bool make_private) {
  const auto slash = id_.find('/');
  Json body;
  body.set("name", slash == std::string::npos ? id_ : id_.substr(slash + 1));
  body.set("organization", slash == std::string::npos ? Json() : Json(id_.substr(0, slash)));
  body.set("type", "model");
  if (make_private) body.set("visibility", "private");
  TextBody text(body.dump());
  auto request =
      json_post(http_.settings().endpoint + "/api/repos/create", "creating " + id_, text);
  for (int tried = 1;; ++tried) {
    FERRULE_TRY(const auto response, http_.send(request));
    if (is_busy(response)) {
      if (tried >= kBusyTries) return http_failure(response, request.what);
      FERRULE_CHECK(http_.pause(own_pause(tried, http_.settings())));
      continue;
    }
    if (response.ok() || response.status == 409) {
      FERRULE_CHECK(take_id(response));
      return response.ok();
    }
    // An account that cannot create may still write to a repository that exists.
    const bool refused = response.status == 401 || response.status == 402 || response.status == 403;
    if (refused && id_.find('/') != std::string::npos && info()) return false;
    return http_failure(response, request.what);
  }
}

Result<void> Repository::create_branch(const std::string& branch) const {
  TextBody text("{}");
  const auto request = json_post(api("/branch/" + percent_encode(branch, false)),
                                 "creating the branch " + quote(branch), text);
  for (int tried = 1;; ++tried) {
    FERRULE_TRY(const auto response, http_.send(request));
    const bool busy = is_busy(response);
    if (response.ok() || (response.status == 409 && !busy)) return {};
    if (!busy || tried >= kBusyTries) return http_failure(response, request.what);
    FERRULE_CHECK(http_.pause(own_pause(tried, http_.settings())));
  }
}

std::vector<std::uint64_t> Repository::pull_requests(const std::string& title) const {
  Request request;
  request.what = "the pull requests of " + id_;
  request.url = api("/discussions?p=0&type=pull_request");
  request.with_token = true;
  std::vector<std::uint64_t> numbers;
  const auto response = http_.require(request);
  const auto json =
      response ? json_answer(*response, request.what) : Result<Json>(response.error());
  const auto* list = json ? json->find("discussions") : nullptr;
  if (list == nullptr || list->if_array() == nullptr) return numbers;
  for (const auto& item : *list->if_array()) {
    const auto number = size_member(item, "num");
    if (number && text_member(item, "title") == title) numbers.push_back(*number);
  }
  return numbers;
}

Result<PullRequest> Repository::open_pull_request(const std::string& title,
                                                  const std::string& description) const {
  const auto before = pull_requests(title);
  TextBody text(
      Json(Json::Object{{"title", title}, {"description", description}, {"pullRequest", true}})
          .dump());
  auto request = json_post(api("/discussions"), "opening a pull request", text);
  request.repeat = Repeat::kUnsafe;
  std::optional<std::uint64_t> number;
  std::optional<Error> failed;
  for (int tried = 1; !number && tried <= http_.settings().attempts; ++tried) {
    if (failed) FERRULE_CHECK(http_.pause(http_.settings().first_pause * (1 << tried)));
    const auto response = http_.require(request);
    if (response) {
      FERRULE_TRY(const auto json, json_answer(*response, request.what));
      number = size_member(json, "num");
      if (!number)
        return fail(Failure::kBadAnswer, request.what + ": the answer does not contain a number");
      break;
    }
    if (!is_ambiguous(response.error())) return response.error();
    failed = response.error();
    // The reply was lost, but the pull request may have been opened.
    for (const auto candidate : pull_requests(title)) {
      if (std::find(before.begin(), before.end(), candidate) == before.end()) number = candidate;
    }
  }
  if (!number) return std::move(*failed);
  const auto digits = std::to_string(*number);
  return PullRequest{*number, "refs/pr/" + digits, page("/discussions/" + digits)};
}

void Repository::publish(const PullRequest& pull_request) const {
  TextBody text(R"({"status":"open"})");
  auto request = json_post(api("/discussions/" + std::to_string(pull_request.number) + "/status"),
                           "opening the pull request for review", text);
  request.repeat = Repeat::kUnsafe;
  (void)http_.send(request);  // If this fails, the draft has the commit anyway.
}

Result<void> Repository::validate_card(const std::string& text, const Watcher& watcher) const {
  TextBody body(Json(Json::Object{{"content", text}, {"repoType", "model"}}).dump());
  const auto request =
      json_post(http_.settings().endpoint + "/api/validate-yaml", "checking README.md", body);
  FERRULE_TRY(const auto response, http_.send(request));
  if (!response.ok() && response.status != 400) {
    // A Hub without this check still checks the commit.
    if (response.status == 404 || response.status == 405) return {};
    return http_failure(response, request.what);
  }
  const auto json = parse_json(response.text);
  if (response.status == 400) {
    const auto words = server_words(response);
    auto error = fail(Failure::kCard, "the Hub refuses the card: " + words, kCardFile);
    error.http_status = response.status;
    error.request_id = printable(response.request_id(), 100);
    return error;
  }
  const auto* warnings = json ? json->find("warnings") : nullptr;
  if (warnings != nullptr && warnings->if_array() != nullptr && watcher.warning) {
    for (const auto& warning : *warnings->if_array()) {
      watcher.warning("README.md: " + printable(text_member(warning, "message"), 500));
    }
  }
  return {};
}

}  // namespace ferrule::hub
