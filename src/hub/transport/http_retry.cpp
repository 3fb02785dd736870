// SPDX-License-Identifier: Apache-2.0
// When Http::send() sends a request again:
//
//   1. No complete answer (HB-3): again after own_pause(), six times in all. A request whose repeat
//      is unsafe is sent again only if the connection broke before it was sent.
//   2. A redirect (301, 302, 303, 307, 308): followed on the same origin, twenty times at most.
//      Another origin is refused (HB-12), so the token goes nowhere else. It is not a try.
//   3. 429: again after the pause in its headers (rate_limit.hpp), at most Settings::longest_wait.
//      If they say that the window has room left, waiting would not help (HB-10).
//   4. 408, 500, 502, 503, 504: again after Retry-After or own_pause(), unless a repeat is unsafe,
//      because the server may have done what it was asked (HB-11, HB-16).
//   5. Any other answer is final.
//
// own_pause() is 250 ms, twice as long each time, 8 s at most. Pauses end within 50 ms if the
// watcher cancels (HB-21) or another transfer fails.
#include "hub/transport/http_retry.hpp"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/http.hpp"
#include "hub/transport/http_failure.hpp"
#include "hub/transport/rate_limit.hpp"
#include "hub/transport/url.hpp"

namespace ferrule::hub {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kMaxPause{8000};

/// A status that means that the server did nothing.
bool surely_undone(int status) { return status == 429; }

bool is_final(const Request& request, int status) {
  return std::find(request.final_statuses.begin(), request.final_statuses.end(), status) !=
         request.final_statuses.end();
}

}  // namespace

bool is_redirect(int status) noexcept {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_ambiguous(const Error& error) noexcept {
  if (is(error, Failure::kNetwork)) return error.system_errno == kMaybeDone;
  return error.http_status == 408 || error.http_status >= 500;
}

bool may_pass(int status) noexcept {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

milliseconds own_pause(int tried, const Settings& settings) {
  return std::min(kMaxPause, settings.first_pause * (1 << std::min(tried - 1, 10)));
}

std::optional<milliseconds> pause_before_next(const Response& response, int tried,
                                              const Settings& settings) {
  const auto own = own_pause(tried, settings);
  const auto asked = read_pause(response.headers, std::chrono::system_clock::now());
  if (response.status == 429 && asked.hidden_quota) return std::nullopt;
  if (asked.wait) {
    if (response.status != 429 && response.header("retry-after").empty()) return own;
    if (*asked.wait > settings.longest_wait) return std::nullopt;
    return std::max<milliseconds>(*asked.wait, own);
  }
  return own;
}

Result<void> Http::pause(milliseconds length) {
  constexpr milliseconds kStep{50};
  for (auto left = length; left.count() > 0; left -= kStep) {
    if (auto interrupted = interruption()) return std::move(*interrupted);
    std::this_thread::sleep_for(std::min(left, kStep));
  }
  return {};
}

Result<Response> Http::send(const Request& request) {
  Request current = request;
  int redirects = 0;
  for (int tried = 1;; ++tried) {
    auto answer = exchange(current);
    const bool last = tried >= settings().attempts;
    if (!answer) {
      const auto& error = answer.error();
      const bool repeatable = request.repeat == Repeat::kSafe || !is_ambiguous(error);
      if (last || !is(error, Failure::kNetwork) || !repeatable) return answer;
      FERRULE_CHECK(pause(own_pause(tried, settings())));
      continue;
    }
    if (request.follow && is_redirect(answer->status)) {
      const auto next = resolve_url(current.url, std::string(answer->header("location")));
      if (!next || origin_of(*next) != origin_of(current.url)) {
        return fail(Failure::kBadAnswer, request.what + ": redirected to " +
                                             quote(without_query(next.value_or("nowhere")), 200) +
                                             ", another server than the one asked");
      }
      if (++redirects > kMaxRedirects) {
        return fail(Failure::kBadAnswer,
                    request.what + ": more than " + std::to_string(kMaxRedirects) + " redirects");
      }
      current.url = *next;
      --tried;
      continue;
    }
    if (!may_pass(answer->status) || last || is_final(request, answer->status)) return answer;
    if (request.repeat == Repeat::kUnsafe && !surely_undone(answer->status)) return answer;
    const auto pause = pause_before_next(*answer, tried, settings());
    if (!pause) return answer;
    FERRULE_CHECK(this->pause(*pause));
  }
}

Result<Response> Http::require(const Request& request) {
  FERRULE_TRY(auto response, send(request));
  if (!response.ok()) return http_failure(response, request.what);
  return response;
}

}  // namespace ferrule::hub
