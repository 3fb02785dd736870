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

/// The body of a request, read from the start each time the request is sent.
class Body {
 public:
  virtual ~Body() = default;
  virtual std::uint64_t size() const = 0;
  /// Up to out.size() bytes; 0 only at the end.
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
  /// The body, unless it went to a sink. At most 64 KiB of a refusal's.
  std::string text;
  /// The address that answered.
  std::string url;

  bool ok() const noexcept { return status >= 200 && status < 300; }
  /// The value of the first header of that name; empty if there is none.
  std::string_view header(std::string_view name) const noexcept;
  std::string_view request_id() const noexcept;
};

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kDelete };

/// Whether a request can be sent again if it is not known whether the server carried it out.
enum class Repeat : std::uint8_t { kSafe, kUnsafe };

struct Request {
  Method method = Method::kGet;
  std::string url;
  /// Never the token: `with_token` sends it, and only to the endpoint's origin.
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
  /// Gets the body of a 2xx instead of Response::text.
  std::function<Result<void>(std::span<const std::byte>)> sink = {};
  /// "ACCESS:SECRET" and "aws:amz:REGION:s3" to sign the request; empty not to.
  std::string sign_as = {};
  std::string sign_for = {};
  /// Statuses that send() returns at once instead of trying again.
  std::vector<int> final_statuses = {};
};

}  // namespace ferrule::hub
