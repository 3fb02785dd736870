// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/fetch.hpp"

#include <charconv>
#include <optional>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/http_failure.hpp"
#include "hub/transport/http_retry.hpp"
#include "hub/transport/url.hpp"

namespace ferrule::hub {
namespace {

/// A partial file may be longer than the file is now. One more try is enough then.
constexpr int kMaxRestarts = 2;

/// The first byte of "bytes 100-199/200".
std::optional<std::uint64_t> range_start(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (text.rfind(kUnit, 0) != 0) return std::nullopt;
  text.remove_prefix(kUnit.size());
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end == text.data() + text.size() || *end != '-') return std::nullopt;
  return value;
}

/// Prepares `partial` for the body of this answer, which continues it or replaces it.
Result<void> meet_range(const Response& response, const Source& source, io::PartialFile& partial,
                        Meter& meter) {
  if (response.status == 206) {
    if (range_start(response.header("content-range")) == partial.size()) return {};
    FERRULE_CHECK(partial.clear());
    return fail(Failure::kNetwork,
                source.what + ": the server sent another range than the one requested");
  }
  if (partial.size() == 0) return {};
  meter.add(-static_cast<std::int64_t>(partial.size()));
  return partial.clear();  // The whole file, from its start.
}

Request request_for(const Source& source, io::PartialFile& partial, Meter& meter,
                    const Settings& settings) {
  Request request;
  request.url = source.url;
  request.what = source.what;
  request.with_token = source.with_token;
  request.sign_as = source.sign_as;
  request.sign_for = source.sign_for;
  request.headers = source.headers;
  request.silence = settings.transfer_timeout;
  if (partial.size() > 0) {
    request.headers.emplace_back("Range", "bytes=" + std::to_string(partial.size()) + "-");
  }
  request.on_head = [&](const Response& response) {
    return meet_range(response, source, partial, meter);
  };
  request.sink = [&](std::span<const std::byte> piece) -> Result<void> {
    if (partial.size() + piece.size() > source.size) {
      (void)partial.clear();
      return fail(Failure::kIntegrity, source.what + ": longer than the " +
                                           std::to_string(source.size) + " bytes listed");
    }
    FERRULE_CHECK(partial.append(piece));
    meter.add(static_cast<std::int64_t>(piece.size()));
    return {};
  };
  return request;
}

}  // namespace

Result<Response> get_following(Http& http, Request request) {
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    FERRULE_TRY(auto response, http.exchange(request));
    if (!is_redirect(response.status)) return response;
    const auto next = resolve_url(request.url, std::string(response.header("location")));
    const bool downgraded =
        next && request.url.rfind("https:", 0) == 0 && next->rfind("https:", 0) != 0;
    if (!next || downgraded || !origin_of(*next)) {
      return fail(Failure::kBadAnswer, request.what + ": redirected to " +
                                           quote(without_query(response.header("location")), 200) +
                                           ", which is not followed");
    }
    if (origin_of(*next) != origin_of(request.url)) request.sign_as.clear();
    request.url = *next;
  }
  return fail(Failure::kBadAnswer,
              request.what + ": more than " + std::to_string(kMaxRedirects) + " redirects");
}

Result<std::string> fetch(Http& http, const Source& source, io::PartialFile& partial,
                          Meter& meter) {
  const auto& settings = http.settings();
  if (partial.size() > source.size) FERRULE_CHECK(partial.clear());
  meter.add(static_cast<std::int64_t>(partial.size()));
  int fresh = 0;
  int restarts = 0;
  for (int tried = 1;; ++tried) {
    const auto before = partial.size();
    if (before == source.size && source.size > 0) return std::string();
    auto answer = get_following(http, request_for(source, partial, meter, settings));
    if (answer && answer->ok()) {
      if (partial.size() == source.size) return answer->url;
      answer = fail(Failure::kNetwork, source.what + ": " + std::to_string(partial.size()) +
                                           " of " + std::to_string(source.size) + " bytes arrived");
    }
    if (partial.size() > before) tried = 1;  // It made progress.
    const bool last = tried >= settings.attempts;
    if (!answer) {
      if (last || !is(answer.error(), Failure::kNetwork)) return answer.error();
      FERRULE_CHECK(http.pause(own_pause(tried, settings)));
      continue;
    }
    if (answer->status == 416 && partial.size() > 0) {
      if (++restarts > kMaxRestarts) {
        return fail(Failure::kIntegrity, source.what + ": the server has no byte after the first " +
                                             std::to_string(partial.size()) + ", of " +
                                             std::to_string(source.size) + " listed");
      }
      meter.add(-static_cast<std::int64_t>(partial.size()));
      FERRULE_CHECK(partial.clear());
      continue;
    }
    // A store refuses an address that expired; the Hub gives another one.
    const bool elsewhere = origin_of(answer->url) != origin_of(source.url);
    if (answer->status == 403 && elsewhere && ++fresh < kFreshAddresses) continue;
    auto pause = pause_before_next(*answer, tried, settings);
    if (!may_pass(answer->status) || last || !pause) return http_failure(*answer, source.what);
    FERRULE_CHECK(http.pause(*pause));
  }
}

}  // namespace ferrule::hub
