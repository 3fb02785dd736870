// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/fetch_header.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "base/try.hpp"
#include "ferrule/read_limits.hpp"
#include "format/safetensors/safetensors_header.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/fetch.hpp"
#include "hub/transport/http_failure.hpp"
#include "hub/transport/http_retry.hpp"
#include "hub/transport/url.hpp"

namespace ferrule::hub {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = 16U << 20U;
constexpr std::uint64_t kFirstRange = 65536;
constexpr std::uint64_t kLengthBytes = 8;

/// `size` bytes of a file from `begin` on; nullopt if the server does not serve ranges.
Result<std::optional<std::string>> fetch_range(Http& http, const Source& source,
                                               std::uint64_t begin, std::uint64_t size) {
  Request request;
  request.url = source.url;
  request.what = source.what;
  request.with_token = true;
  request.headers = {
      {"Range", "bytes=" + std::to_string(begin) + "-" + std::to_string(begin + size - 1)}};
  request.limit = static_cast<std::size_t>(size);
  for (int tried = 1;; ++tried) {
    const bool last = tried >= http.settings().attempts;
    auto response = get_following(http, request);
    if (!response) {
      if (last || !is(response.error(), Failure::kNetwork)) return response.error();
      FERRULE_CHECK(http.pause(own_pause(tried, http.settings())));
      continue;
    }
    if (response->status == 206 && response->text.size() == size) {
      return std::optional(std::move(response->text));
    }
    if (response->ok()) return std::optional<std::string>();
    const auto pause = pause_before_next(*response, tried, http.settings());
    if (last || !may_pass(response->status) || !pause) return http_failure(*response, source.what);
    FERRULE_CHECK(http.pause(*pause));
  }
}

}  // namespace

Result<std::optional<std::string>> fetch_header(Session& session, const Pull& pull,
                                                const RemoteFile& file) {
  Http& http = session.http;
  const Source source{.url = pull.repository().page("/resolve/" + pull.commit() + "/" +
                                                    percent_encode(file.path, true)),
                      .what = file.path + " of " + pull.repository().id(),
                      .size = file.size};
  const auto first = std::min(kFirstRange, source.size);
  FERRULE_TRY(auto head, fetch_range(http, source, 0, first));
  if (!head) return head;
  ReadLimits limits;
  limits.header_bytes = kMaxHeaderBytes;
  const auto length = format::header_length(std::as_bytes(std::span(*head)), source.size, limits);
  if (!length) return std::optional<std::string>();
  const auto end = kLengthBytes + *length;
  if (end > first) {
    FERRULE_TRY(const auto rest, fetch_range(http, source, first, end - first));
    if (!rest) return rest;
    *head += *rest;
  }
  head->resize(static_cast<std::size_t>(end));
  return head;
}

}  // namespace ferrule::hub
