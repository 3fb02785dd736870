// SPDX-License-Identifier: Apache-2.0
#include "hub/object_store/s3_upload.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/object_store/object_manifest.hpp"
#include "hub/transport/answer.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/file_body.hpp"
#include "hub/transport/http_failure.hpp"
#include "hub/transport/url.hpp"
#include "hub/transport/xml.hpp"
#include "io/digest.hpp"

namespace ferrule::hub {
namespace {

constexpr std::uint64_t kMiB = 1U << 20U;
constexpr std::uint64_t kLarge = 16 * kMiB;  // From here on in parts.
constexpr std::uint64_t kPart = 8 * kMiB;
constexpr std::uint64_t kMaxParts = 10'000;
constexpr std::size_t kMaxPartAnswer = std::size_t{4} << 20;
constexpr int kTries = 3;

/// The same for every push of a file of that size.
std::uint64_t part_size(std::uint64_t size) {
  const auto least = (size + kMaxParts - 1) / kMaxParts;
  return std::max(kPart, (least + kMiB - 1) / kMiB * kMiB);
}

std::uint64_t count_parts(std::uint64_t size) {
  return (size + part_size(size) - 1) / part_size(size);
}

/// Of part `part`, counted from one.
struct Piece {
  std::uint64_t begin;
  std::uint64_t size;
};

Piece piece_of(std::uint64_t size, std::uint64_t part) {
  const auto begin = (part - 1) * part_size(size);
  return {begin, std::min(part_size(size), size - begin)};
}

template <typename Sum>
Result<std::string> sum_of(const io::InputFile& input, Piece piece, Sum sum) {
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(kMiB, piece.size)));
  for (std::uint64_t at = 0; at < piece.size;) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), piece.size - at));
    const auto some = std::span(buffer).first(size);
    FERRULE_CHECK(input.read_at(piece.begin + at, some));
    sum.update(some);
    at += size;
  }
  return io::to_hex(sum.finish());
}

std::string without_quotes(std::string_view etag) {
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return std::string(etag);
}

/// The ETag that S3 gives to an object that was made of these parts.
std::optional<std::string> whole_etag(const std::map<std::uint64_t, std::string>& etags) {
  auto md5 = io::Md5::make();
  if (!md5) return std::nullopt;
  for (const auto& [part, etag] : etags) {
    const auto digits = without_quotes(etag);
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
      unsigned value = 0;
      const auto [end, failed] = std::from_chars(&digits[i], &digits[i] + 2, value, 16);
      if (failed != std::errc() || end != &digits[i] + 2) return std::nullopt;
      bytes.push_back(static_cast<std::byte>(value));
    }
    md5->update(bytes);
  }
  return io::to_hex(md5->finish()) + "-" + std::to_string(etags.size());
}

/// Failures after which another push can continue.
bool may_go_on(const Error& error) {
  return is(error, Failure::kNetwork) || is(error, Failure::kServer) ||
         is(error, Failure::kRateLimited);
}

}  // namespace

Unfinished list_unfinished(Http& http, const ObjectStore& store) {
  Unfinished out;
  const auto prefix = store.prefix.empty() ? std::string() : store.prefix + "/";
  auto request = store.request(Method::kGet, "", kEmptySha256);
  // The parameters must be sorted: the signature covers them in this order.
  request.url = store.bucket_url() + "?prefix=" + percent_encode(prefix, false) + "&uploads=";
  const auto response = http.send(request);
  if (!response || !response->ok()) return out;
  std::size_t at = 0;
  while (const auto upload = inner_xml(response->text, "Upload", at)) {
    const auto key = xml_text(*upload, "Key");
    const auto id = xml_text(*upload, "UploadId");
    if (key && id && key->rfind(prefix, 0) == 0) out[key->substr(prefix.size())].push_back(*id);
  }
  return out;
}

Request S3Upload::request(Method method, const PushFile& file, const std::string& query,
                          const std::string& sha256) const {
  const auto& settings = lanes_.settings();
  auto out = store_.request(method, file.path, sha256);
  if (!query.empty()) out.url += "?" + query;
  out.silence = std::max(settings.transfer_timeout, settings.answer_timeout);
  out.limit = kMaxPartAnswer;
  return out;
}

Result<void> S3Upload::send(const PushFile& file) const {
  FERRULE_TRY(const auto input, io::InputFile::open(file.file));
  if (file.size >= kLarge) return multipart(file, input);
  if (const auto left = unfinished_.find(file.path); left != unfinished_.end()) {
    for (const auto& id : left->second)
      abort(file, id);  // From a push of a larger file of this name.
  }
  return put(file, input);
}

Result<void> S3Upload::put(const PushFile& file, const io::InputFile& input) const {
  FileBody body(input, 0, file.size, &meter_);
  auto put = request(Method::kPut, file, "", file.sha256);
  put.body = &body;
  put.headers.emplace_back("Content-Type", "application/octet-stream");
  FERRULE_TRY(const auto response, lanes_.take(stop_)->require(put));
  return {};
}

Result<void> S3Upload::multipart(const PushFile& file, const io::InputFile& input) const {
  FERRULE_TRY(auto begun, take_up(file, input));
  for (int tried = 1;; ++tried) {
    if (!begun) {
      FERRULE_TRY(begun, begin(file));
    }
    auto sent = send_parts(file, input, *begun);
    auto error = sent ? http_failure(*sent, file.path + " of " + store_.name) : sent.error();
    if (sent && sent->ok()) return {};
    if (sent && sent->status == 404) {
      // The upload is gone: it was completed and the reply was lost, or another client ended it.
      FERRULE_TRY(const bool done, is_complete(file, *begun));
      if (done) return {};
      if (tried < kTries) {
        for (const auto& [part, etag] : begun->etags) {
          meter_.add(-static_cast<std::int64_t>(piece_of(file.size, part).size));
        }
        begun.reset();
        continue;
      }
    }
    if (!may_go_on(error)) abort(file, begun->id);
    return error;
  }
}

/// An upload of the same content that an earlier push began. Other uploads of the same name are
/// removed, because no other push will.
Result<std::optional<S3Upload::Begun>> S3Upload::take_up(const PushFile& file,
                                                         const io::InputFile& input) const {
  std::optional<Begun> out;
  const auto left = unfinished_.find(file.path);
  if (left == unfinished_.end()) return out;
  for (auto id = left->second.rbegin(); id != left->second.rend(); ++id) {
    if (!out) {
      FERRULE_TRY(out, known_parts(file, input, *id));
      if (out) continue;
    }
    abort(file, *id);
  }
  if (!out) return out;
  for (const auto& [part, etag] : out->etags) {
    meter_.add(static_cast<std::int64_t>(piece_of(file.size, part).size));
  }
  return out;
}

/// nullopt if a part does not match the file.
Result<std::optional<S3Upload::Begun>> S3Upload::known_parts(const PushFile& file,
                                                             const io::InputFile& input,
                                                             const std::string& id) const {
  Begun begun{id};
  std::string marker = "0";
  for (std::uint64_t page = 0; page <= kMaxParts / 1000; ++page) {
    const auto query = "part-number-marker=" + marker + "&uploadId=" + percent_encode(id, false);
    FERRULE_TRY(const auto response,
                lanes_.take(stop_)->send(request(Method::kGet, file, query, kEmptySha256)));
    if (!response.ok()) return std::optional<Begun>();
    std::size_t at = 0;
    while (const auto listed = inner_xml(response.text, "Part", at)) {
      const auto part = whole_number(xml_text(*listed, "PartNumber").value_or(""));
      const auto size = whole_number(xml_text(*listed, "Size").value_or(""));
      const auto etag = xml_text(*listed, "ETag");
      auto md5 = io::Md5::make();
      if (!part || !etag || !md5 || *part == 0 || *part > count_parts(file.size) ||
          size != piece_of(file.size, *part).size) {
        return std::optional<Begun>();
      }
      FERRULE_TRY(const auto sum, sum_of(input, piece_of(file.size, *part), std::move(*md5)));
      if (sum != without_quotes(*etag)) return std::optional<Begun>();
      begun.etags[*part] = *etag;
    }
    const auto next = whole_number(xml_text(response.text, "NextPartNumberMarker").value_or(""));
    if (xml_text(response.text, "IsTruncated") != "true" || !next) break;
    marker = std::to_string(*next);
  }
  return std::optional<Begun>(std::move(begun));
}

Result<S3Upload::Begun> S3Upload::begin(const PushFile& file) const {
  TextBody nothing("");
  auto post = request(Method::kPost, file, "uploads=", kEmptySha256);
  post.headers.emplace_back("Content-Type", "application/octet-stream");
  post.body = &nothing;
  FERRULE_TRY(const auto response, lanes_.take(stop_)->require(post));
  auto id = xml_text(response.text, "UploadId");
  if (id && !id->empty()) return Begun{std::move(*id)};
  return fail(Failure::kBadAnswer, post.what + ": the store gave no id for an upload in parts");
}

Result<Response> S3Upload::put_part(const PushFile& file, const io::InputFile& input,
                                    const Begun& begun, std::uint64_t part,
                                    const Stop& stop) const {
  const auto piece = piece_of(file.size, part);
  FERRULE_TRY(const auto sum, sum_of(input, piece, io::Sha256()));
  FileBody body(input, piece.begin, piece.size, &meter_);
  auto put = request(
      Method::kPut, file,
      "partNumber=" + std::to_string(part) + "&uploadId=" + percent_encode(begun.id, false), sum);
  put.headers.emplace_back("Content-Type", "application/octet-stream");
  put.body = &body;
  auto response = lanes_.take(stop)->send(put);
  if (!response || !response->ok()) (void)body.rewind();
  if (response && response->ok() && response->header("etag").empty()) {
    return fail(Failure::kBadAnswer, put.what + ": the store gave no ETag for a part");
  }
  return response;
}

Result<Response> S3Upload::send_parts(const PushFile& file, const io::InputFile& input,
                                      Begun& begun) const {
  std::vector<std::uint64_t> missing;
  for (std::uint64_t part = 1; part <= count_parts(file.size); ++part) {
    if (begun.etags.count(part) == 0) missing.push_back(part);
  }
  FERRULE_TRY(auto refused, answers_together(
                                missing.size(), stop_,
                                [&](std::size_t i, const Stop& stop) {
                                  return put_part(file, input, begun, missing[i], stop);
                                },
                                [&](std::size_t i, const Response& response) {
                                  begun.etags[missing[i]] = std::string(response.header("etag"));
                                }));
  if (refused) return std::move(*refused);
  return complete(file, begun);
}

Result<Response> S3Upload::complete(const PushFile& file, const Begun& begun) const {
  std::string text = "<CompleteMultipartUpload>";
  for (const auto& [part, etag] : begun.etags) {
    text += "<Part><PartNumber>" + std::to_string(part) + "</PartNumber><ETag>" + xml_escape(etag) +
            "</ETag></Part>";
  }
  text += "</CompleteMultipartUpload>";
  TextBody body(text);
  auto post = request(Method::kPost, file, "uploadId=" + percent_encode(begun.id, false),
                      io::sha256_hex(text));
  post.headers.emplace_back("Content-Type", "application/xml");
  post.body = &body;
  FERRULE_TRY(auto response, lanes_.take(stop_)->send(post));
  // S3 sends the status before it is done, and can report a failure in a 200.
  if (response.ok() && response.text.find("<Error>") != std::string::npos) {
    const auto code = xml_text(response.text, "Code").value_or("");
    if (code == "NoSuchUpload") {
      response.status = 404;
    } else {
      return fail(Failure::kServer,
                  post.what + ": the store could not join the parts: " + quote(code, 100));
    }
  }
  return response;
}

/// Whether the store has the object as these parts make it.
Result<bool> S3Upload::is_complete(const PushFile& file, const Begun& begun) const {
  if (begun.etags.size() != count_parts(file.size)) return false;
  const auto whole = whole_etag(begun.etags);
  FERRULE_TRY(const auto response,
              lanes_.take(stop_)->send(request(Method::kHead, file, "", kEmptySha256)));
  return whole && response.ok() && without_quotes(response.header("etag")) == *whole;
}

void S3Upload::abort(const PushFile& file, const std::string& id) const {
  (void)lanes_.take(stop_)->send(
      request(Method::kDelete, file, "uploadId=" + percent_encode(id, false), kEmptySha256));
}

}  // namespace ferrule::hub
