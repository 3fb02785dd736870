// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/lfs_transfer.hpp"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/transport/http_retry.hpp"

namespace ferrule::hub {
namespace {

constexpr std::size_t kMaxAnswer = std::size_t{1} << 20;

/// The store will not change its mind.
bool is_refusal(const Response& response) {
  return response.status >= 400 && response.status < 500 && !may_pass(response.status);
}

}  // namespace

bool wants_fresh_address(int status) noexcept {
  return status == 400 || status == 401 || status == 403;
}

LfsTransfer::LfsTransfer(const Repository& repository, Lanes& lanes, const PushFile& file,
                         const io::InputFile& input, const Stop& stop, Meter& meter)
    : repository_(repository),
      lanes_(lanes),
      file_(file),
      input_(input),
      stop_(stop),
      meter_(meter),
      journal_(repository.http().settings().home, repository.page() + "\n" + file.sha256) {}

Request LfsTransfer::request(Method method, std::string url, std::string what) const {
  const auto& settings = repository_.http().settings();
  Request out;
  out.method = method;
  out.url = std::move(url);
  out.what = std::move(what) + quote(file_.path);
  out.silence = std::max(settings.transfer_timeout, settings.answer_timeout);
  out.limit = kMaxAnswer;
  return out;
}

Result<Response> LfsTransfer::send(const Action& upload) {
  auto parts = read_parts(upload);
  return parts ? multipart(std::move(*parts)) : basic(upload);
}

Result<Response> LfsTransfer::basic(const Action& upload) {
  FileBody body(input_, 0, file_.size, &meter_);
  auto put = request(Method::kPut, upload.href, "uploading ");
  put.body = &body;
  const auto& token = repository_.http().settings().token;
  for (const auto& header : upload.headers) {
    // What a server hands out for its store is sent there; our own token never is.
    if (token.empty() || header.second.find(token) == std::string::npos)
      put.headers.push_back(header);
  }
  auto response = lanes_.take(stop_)->send(put);
  if (!response || !response->ok()) (void)body.rewind();
  return response;
}

std::uint64_t LfsTransfer::size_of(const Parts& parts, std::uint64_t part) const {
  const auto place = static_cast<std::uint64_t>(
      std::distance(parts.addresses.begin(), parts.addresses.find(part)));
  return std::min(parts.chunk, file_.size - place * parts.chunk);
}

void LfsTransfer::unmeter(const Parts& parts) {
  for (const auto& [part, etag] : parts.etags) {
    meter_.add(-static_cast<std::int64_t>(size_of(parts, part)));
  }
}

Result<Response> LfsTransfer::multipart(Parts parts) {
  const auto wanted =
      parts.chunk == 0 ? 0 : file_.size / parts.chunk + (file_.size % parts.chunk != 0);
  if (wanted == 0 || wanted != parts.addresses.size()) {
    return upload_refused(file_, "the Hub gave " + std::to_string(parts.addresses.size()) +
                                     " addresses for " + std::to_string(wanted) + " parts of " +
                                     std::to_string(parts.chunk) + " bytes");
  }
  auto begun = journal_.find(parts.chunk);
  if (begun && begun->addresses.size() == wanted) {
    FERRULE_TRY(auto response, send_parts(*begun));
    if (response.ok()) journal_.forget();
    if (!is_refusal(response)) return response;
    // The old addresses are good for nothing any more. Those just given are.
    unmeter(*begun);
  }
  journal_.begin(parts);
  FERRULE_TRY(auto response, send_parts(parts));
  if (response.ok() || is_refusal(response)) journal_.forget();
  if (!response.ok()) unmeter(parts);
  return response;
}

Result<Response> LfsTransfer::put_part(const Parts& parts, std::uint64_t part, FileBody& body,
                                       const Stop& stop) const {
  auto put = request(Method::kPut, parts.addresses.at(part), "uploading a part of ");
  put.body = &body;
  auto response = lanes_.take(stop)->send(put);
  if (!response || !response->ok()) (void)body.rewind();
  if (response && response->ok() && response->header("etag").empty()) {
    return upload_refused(file_, "the store gave no ETag for a part");
  }
  return response;
}

Result<Response> LfsTransfer::send_parts(Parts& parts) {
  std::vector<std::uint64_t> missing;
  for (const auto& [part, address] : parts.addresses) {
    if (parts.etags.count(part) == 0) {
      missing.push_back(part);
    } else {
      meter_.add(static_cast<std::int64_t>(size_of(parts, part)));
    }
  }
  FERRULE_TRY(auto refused,
              answers_together(
                  missing.size(), stop_,
                  [&](std::size_t i, const Stop& stop) -> Result<Response> {
                    const auto part = missing[i];
                    const auto place = static_cast<std::uint64_t>(
                        std::distance(parts.addresses.begin(), parts.addresses.find(part)));
                    FileBody body(input_, place * parts.chunk, size_of(parts, part), &meter_);
                    return put_part(parts, part, body, stop);
                  },
                  [&](std::size_t i, const Response& response) {
                    parts.etags[missing[i]] = std::string(response.header("etag"));
                    journal_.note(missing[i], parts.etags[missing[i]]);
                  }));
  if (refused) return std::move(*refused);
  return complete(parts);
}

Result<Response> LfsTransfer::complete(const Parts& parts) const {
  Json::Array sent;
  for (const auto& [part, etag] : parts.etags) {
    sent.push_back(Json::Object{{"partNumber", Json(part)}, {"etag", etag}});
  }
  TextBody text(Json(Json::Object{{"oid", file_.sha256}, {"parts", std::move(sent)}}).dump());
  auto post = request(Method::kPost, parts.complete, "completing the upload of ");
  post.headers = {{"Content-Type", kLfsMediaType}, {"Accept", kLfsMediaType}};
  post.body = &text;
  return lanes_.take(stop_)->send(post);
}

Result<void> LfsTransfer::verify(const Action& action) {
  TextBody text(Json(Json::Object{{"oid", file_.sha256}, {"size", Json(file_.size)}}).dump());
  auto post = request(Method::kPost, action.href, "verifying the upload of ");
  bool own = false;
  for (const auto& [name, value] : action.headers) {
    own = own || name == "Authorization" || name == "authorization";
    post.headers.emplace_back(name, value);
  }
  post.headers.emplace_back("Content-Type", kLfsMediaType);
  post.headers.emplace_back("Accept", kLfsMediaType);
  post.with_token = !own;
  post.body = &text;
  FERRULE_TRY(const auto response, lanes_.take(stop_)->require(post));
  return {};
}

}  // namespace ferrule::hub
