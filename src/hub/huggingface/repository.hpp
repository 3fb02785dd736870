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

/// One model repository on the Hub: its addresses, and the requests about it as a whole.
class Repository {
 public:
  Repository(Http& http, std::string id) : http_(http), id_(std::move(id)) {}

  const std::string& id() const noexcept { return id_; }
  Http& http() const noexcept { return http_; }

  /// The same repository over another connection.
  Repository over(Http& http) const { return Repository(http, id_); }

  /// "ENDPOINT/api/models/ID" and `rest`.
  std::string api(std::string_view rest = {}) const;
  /// "ENDPOINT/ID" and `rest`.
  std::string page(std::string_view rest = {}) const;

  Result<Json> info(std::string_view revision = {}) const;
  /// Whether it is public. An answer without this is an error.
  Result<bool> is_public() const;

  /// Creates it unless it exists. The id becomes the full one. True if it is new.
  Result<bool> create(bool make_private);
  Result<void> create_branch(const std::string& branch) const;
  Result<PullRequest> open_pull_request(const std::string& title,
                                        const std::string& description) const;
  /// Marks a pull request as ready: those that a program opens are drafts.
  void publish(const PullRequest& request) const;

  /// Fails with HB-17 if the Hub refuses the card. Its warnings go to the watcher.
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
