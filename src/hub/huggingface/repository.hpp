// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/result.hpp"
#include "hub/transport/http.hpp"

namespace ferrule::hub {

struct PullRequest {
  std::uint64_t number = 0;
  std::string revision;  ///< "refs/pr/N"
  std::string url;
};

/// One model repository on the Hub: its address, and the requests that concern it as a whole.
class Repository {
 public:
  Repository(Http& http, std::string id) : http_(http), id_(std::move(id)) {}

  const std::string& id() const noexcept { return id_; }
  Http& http() const noexcept { return http_; }

  /// The same repository, asked over another connection.
  Repository over(Http& http) const { return Repository(http, id_); }

  /// "ENDPOINT/api/models/ID" and `rest`.
  std::string api(std::string_view rest = {}) const;
  /// "ENDPOINT/ID" and `rest`.
  std::string page(std::string_view rest = {}) const;

  Result<Json> info(std::string_view revision = {}) const;
  /// True where it is public. An answer that does not say so is an error.
  Result<bool> is_public() const;

  /// Makes it, or finds that it exists. The id becomes the full one. True where it is new.
  Result<bool> create(bool make_private);
  Result<void> create_branch(const std::string& branch) const;
  Result<PullRequest> open_pull_request(const std::string& title,
                                        const std::string& description) const;
  /// A pull request opened by a program is a draft: this asks for a review.
  void publish(const PullRequest& request) const;

  /// The Hub's judgment of a card. Warnings go to the watcher.
  Result<void> validate_card(const std::string& text, const Watcher& watcher) const;

 private:
  Result<void> take_id(const Response& response);
  std::vector<std::uint64_t> pull_requests(const std::string& title) const;

  Http& http_;
  std::string id_;
};

/// A request with a JSON body.
Request json_post(std::string url, std::string what, Body& body);

}  // namespace ferrule::hub
