// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/result.hpp"

namespace ferrule::hub {

struct Header {
  std::string name;  ///< Lower case.
  std::string value;
};

/// What a request carries: read from the start once for each time it is sent.
class Body {
 public:
  virtual ~Body() = default;
  virtual std::uint64_t size() const = 0;
  /// Up to out.size() bytes; 0 at the end alone.
  virtual Result<std::size_t> read(std::span<std::byte> out) = 0;
  virtual Result<void> rewind() = 0;
};

class TextBody final : public Body {
 public:
  explicit TextBody(std::string text) : text_(std::move(text)) {}
  std::uint64_t size() const override { return text_.size(); }
  Result<std::size_t> read(std::span<std::byte> out) override;
  Result<void> rewind() override;

 private:
  std::string text_;
  std::size_t at_ = 0;
};

struct Response {
  int status = 0;
  std::vector<Header> headers;  ///< Names in lower case.
  /// The body, unless it went to a sink. Of a refusal at most kMaxWordsBytes.
  std::string text;
  /// The address that answered.
  std::string url;

  bool ok() const noexcept { return status >= 200 && status < 300; }
  /// Of the first header of that name; empty where there is none.
  std::string_view header(std::string_view name) const noexcept;
  std::string_view request_id() const noexcept;
};

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kDelete };

/// May the request be sent again when nobody knows whether the first one was carried out?
enum class Repeat : std::uint8_t { kSafe, kUnsafe };

struct Request {
  Method method = Method::kGet;
  std::string url;
  /// Never the token: `with_token` sends it, to the endpoint's own origin alone.
  std::vector<std::pair<std::string, std::string>> headers = {};
  bool with_token = false;
  Body* body = nullptr;
  Repeat repeat = Repeat::kSafe;
  /// For messages: "the list of files".
  std::string what;
  std::chrono::seconds silence{0};  ///< The longest; 0 for Settings::answer_timeout.
  std::size_t limit = std::size_t{8} << 20;
  /// Follows redirects that stay on the request's own origin.
  bool follow = true;
  /// Called once before the body of a 2xx; an error ends the transfer.
  std::function<Result<void>(const Response&)> on_head = {};
  /// Takes the body of a 2xx in place of Response::text.
  std::function<Result<void>(std::span<const std::byte>)> sink = {};
  /// "ACCESS:SECRET" and "aws:amz:REGION:s3" where the request is to be signed.
  std::string sign_as = {};
  std::string sign_for = {};
  /// Statuses that send() hands back at once although others of their class are tried again.
  std::vector<int> final_statuses = {};
};

}  // namespace ferrule::hub
