// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/hub.hpp"
#include "ferrule/result.hpp"
#include "hub/rate_limit.hpp"
#include "hub/stop.hpp"

namespace ferrule::hub {

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

/// One connection, kept open between requests. Not for several threads at once.
class Http {
 public:
  explicit Http(const Settings& settings);
  Http(Http&&) noexcept;
  Http& operator=(Http&&) noexcept;
  ~Http();

  /// Sends once. Fails with HB-3 where no whole answer came, with HB-12 where it may not be taken,
  /// or with the error of body, on_head or sink.
  Result<Response> exchange(const Request& request);

  /// Sends until an answer comes that another try would not change: pauses as the server asks, or
  /// longer each time. An unsafe request is repeated only where it surely was not carried out.
  Result<Response> send(const Request& request);

  /// As send(), and anything but 2xx is an error.
  Result<Response> require(const Request& request);

  /// Another connection to the same servers, for another thread. What watch() says to one is said
  /// to both, and each warning is told once.
  Http another() const;

  /// Requests and pauses end once the stop is requested; nullptr for none.
  void heed(const Stop* stop) noexcept;

  /// Who is told what servers say in X-HF-Warning ("TOPIC; words"), each warning once, and who may
  /// cancel. Stays until the next call.
  void watch(const Watcher& watcher);

  /// Waits that long. Fails with HB-21 where the watcher cancels, or with stopped().
  Result<void> pause(std::chrono::milliseconds length);

  const Settings& settings() const noexcept;

 private:
  /// Why what is under way should end; nullopt where it should not.
  std::optional<Error> interruption() const;

  struct Rep;
  explicit Http(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

bool is_redirect(int status) noexcept;

/// Statuses that another try may change.
bool may_pass(int status) noexcept;

/// The pause after try number `tried` where nobody asks for another one.
std::chrono::milliseconds own_pause(int tried, const Settings& settings);

/// The same as the server asks for; nullopt where waiting is of no use.
std::optional<std::chrono::milliseconds> pause_before_next(const Response& response, int tried,
                                                           const Settings& settings);

/// In Error::system_errno of HB-3: the request was on its way when the connection broke.
inline constexpr int kMaybeDone = ECONNABORTED;

/// True where a request may have been carried out although no answer says so.
bool is_ambiguous(const Error& error) noexcept;

}  // namespace ferrule::hub
