// SPDX-License-Identifier: Apache-2.0
#include "hub/lfs.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/quote.hpp"
#include "base/try.hpp"
#include "hub/answer.hpp"
#include "hub/failure.hpp"
#include "hub/url.hpp"

namespace ferrule::hub {
namespace {

constexpr std::size_t kMaxBatch = 256;
constexpr int kFreshAddresses = 4;
constexpr const char* kMediaType = "application/vnd.git-lfs+json";

Error refused(const PushFile& file, const std::string& why) {
  return fail(Failure::kUploadRefused, why, file.path);
}

/// An address that the Hub gave for an object, with what is to be sent along.
struct Action {
  std::string href;
  std::vector<std::pair<std::string, std::string>> headers;
};

std::optional<Action> action(const Json& object, std::string_view name,
                             const std::string& endpoint) {
  const auto* actions = object.find("actions");
  const auto* found = actions != nullptr ? actions->find(name) : nullptr;
  if (found == nullptr || !found->is_object()) return std::nullopt;
  Action out;
  out.href = at_endpoint(text_member(*found, "href"), endpoint);
  const auto* headers = found->find("header");
  const auto* members = headers != nullptr ? headers->if_object() : nullptr;
  if (members != nullptr) {
    for (const auto& [key, value] : *members) {
      if (const auto* text = value.if_string()) {
        out.headers.emplace_back(key, *text);
      } else if (const auto* number = value.if_int64()) {
        out.headers.emplace_back(key, std::to_string(*number));
      }
    }
  }
  return out;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Of a multipart transfer; no chunk size for a basic one.
struct Parts {
  std::optional<std::uint64_t> chunk;
  std::map<std::uint64_t, std::string> addresses;  ///< By number: "00010" comes after "00009".
};

Parts read_parts(const Action& upload) {
  Parts parts;
  for (const auto& [key, value] : upload.headers) {
    if (key == "chunk_size") {
      parts.chunk = number(value).value_or(0);
    } else if (const auto index = number(key)) {
      parts.addresses[*index] = value;
    }
  }
  return parts;
}

/// One object on its way.
class Transfer {
 public:
  Transfer(const Repository& repository, const PushFile& file, const io::InputFile& input,
           Meter& meter)
      : repository_(repository), file_(file), input_(input), meter_(meter) {}

  Result<Response> basic(const Action& upload);
  Result<Response> multipart(const Action& upload, const Parts& parts);
  Result<void> verify(const Action& action);

 private:
  Request request(Method method, std::string url, std::string what) const;

  const Repository& repository_;
  const PushFile& file_;
  const io::InputFile& input_;
  Meter& meter_;
};

Request Transfer::request(Method method, std::string url, std::string what) const {
  Request out;
  out.method = method;
  out.url = std::move(url);
  out.what = std::move(what) + base::quote(file_.path);
  out.silence = std::max(repository_.http().settings().transfer_timeout,
                         repository_.http().settings().answer_timeout);
  return out;
}

Result<Response> Transfer::basic(const Action& upload) {
  FileBody body(input_, 0, file_.size, &meter_);
  auto put = request(Method::kPut, upload.href, "uploading ");
  put.body = &body;
  const auto& token = repository_.http().settings().token;
  for (const auto& header : upload.headers) {
    // What a server hands out for its store is sent there; our own token never is.
    if (token.empty() || header.second.find(token) == std::string::npos) put.headers.push_back(header);
  }
  return repository_.http().send(put);
}

Result<Response> Transfer::multipart(const Action& upload, const Parts& parts) {
  const auto chunk = *parts.chunk;
  const auto wanted = chunk == 0 ? 0 : (file_.size + chunk - 1) / chunk;
  if (wanted == 0 || wanted != parts.addresses.size()) {
    return refused(file_, "the Hub gave " + std::to_string(parts.addresses.size()) +
                              " addresses for " + std::to_string(wanted) + " parts of " +
                              std::to_string(chunk) + " bytes");
  }
  Json::Array sent;
  std::uint64_t at = 0;
  for (const auto& [index, address] : parts.addresses) {
    FileBody body(input_, at, std::min(chunk, file_.size - at), &meter_);
    auto put = request(Method::kPut, address, "uploading a part of ");
    put.body = &body;
    FERRULE_TRY(auto response, repository_.http().send(put));
    if (!response.ok()) return response;
    const auto etag = response.header("etag");
    if (etag.empty()) return refused(file_, "the store gave no ETag for a part");
    sent.push_back(Json::Object{{"partNumber", Json(index)}, {"etag", etag}});
    at += body.size();
  }
  TextBody text(Json(Json::Object{{"oid", file_.sha256}, {"parts", std::move(sent)}}).dump());
  auto post = request(Method::kPost, upload.href, "completing the upload of ");
  post.headers = {{"Content-Type", kMediaType}, {"Accept", kMediaType}};
  post.body = &text;
  return repository_.http().send(post);
}

Result<void> Transfer::verify(const Action& action) {
  TextBody text(
      Json(Json::Object{{"oid", file_.sha256}, {"size", Json(file_.size)}}).dump());
  auto post = request(Method::kPost, action.href, "verifying the upload of ");
  bool own = false;
  for (const auto& [name, value] : action.headers) {
    own = own || name == "Authorization" || name == "authorization";
    post.headers.emplace_back(name, value);
  }
  post.headers.emplace_back("Content-Type", kMediaType);
  post.headers.emplace_back("Accept", kMediaType);
  post.with_token = !own;
  post.body = &text;
  FERRULE_TRY(const auto response, repository_.http().require(post));
  return {};
}

Result<Json> batch(const Repository& repository, std::span<const PushFile* const> files,
                   const std::string& branch) {
  Json::Array objects;
  for (const auto* file : files) {
    objects.push_back(Json::Object{{"oid", file->sha256}, {"size", Json(file->size)}});
  }
  Json body(Json::Object{{"operation", "upload"},
                         {"transfers", Json::Array{"basic", "multipart"}},
                         {"objects", std::move(objects)},
                         {"hash_algo", "sha256"}});
  if (!branch.empty()) body.set("ref", Json::Object{{"name", branch}});
  TextBody text(body.dump());
  auto request = json_post(repository.page(".git/info/lfs/objects/batch"), "asking for uploads", text);
  request.headers = {{"Content-Type", kMediaType}, {"Accept", kMediaType}};
  FERRULE_TRY(const auto response, repository.http().require(request));
  FERRULE_TRY(auto json, json_answer(response, request.what));
  const auto transfer = text_member(json, "transfer");
  if (!transfer.empty() && transfer != "basic" && transfer != "multipart") {
    return fail(Failure::kUploadRefused, "the Hub wants uploads by " + base::quote(transfer) +
                                             ", expected basic or multipart");
  }
  return json;
}

/// The Hub's word on one object of a batch.
Result<Json> object_for(const Json& answer, const PushFile& file) {
  const auto* objects = answer.find("objects");
  const auto* list = objects != nullptr ? objects->if_array() : nullptr;
  if (list != nullptr) {
    for (const auto& object : *list) {
      if (text_member(object, "oid") != file.sha256) continue;
      if (const auto* error = object.find("error"); error != nullptr && error->is_object()) {
        auto out = refused(file, "the Hub refuses the upload: " +
                                     base::quote(text_member(*error, "message"), 500));
        out.http_status = static_cast<int>(size_member(*error, "code").value_or(0) % 1000);
        return out;
      }
      return object;
    }
  }
  return refused(file, "the Hub does not say where the file goes");
}

/// An address of the store has run out, or never was good.
bool wants_fresh_address(int status) { return status == 400 || status == 401 || status == 403; }

Result<void> send_one(const Repository& repository, const PushFile& file, Json object,
                      const std::string& branch, Meter& meter) {
  FERRULE_TRY(const auto input, io::InputFile::open(file.file));
  Transfer transfer(repository, file, input, meter);
  const auto& endpoint = repository.http().settings().endpoint;
  for (int tried = 1;; ++tried) {
    const auto upload = action(object, "upload", endpoint);
    if (!upload) {
      if (tried == 1) meter.add(static_cast<std::int64_t>(file.size));
      return {};  // The store has it.
    }
    const auto parts = read_parts(*upload);
    FERRULE_TRY(const auto response,
                parts.chunk ? transfer.multipart(*upload, parts) : transfer.basic(*upload));
    if (response.ok()) {
      const auto check = action(object, "verify", endpoint);
      return check ? transfer.verify(*check) : Result<void>();
    }
    if (tried >= kFreshAddresses || !wants_fresh_address(response.status)) {
      auto error = http_failure(response, "uploading " + base::quote(file.path));
      auto out = refused(file, error.message);
      out.http_status = error.http_status;
      out.request_id = error.request_id;
      return out;
    }
    const PushFile* const one = &file;
    FERRULE_TRY(const auto again, batch(repository, std::span(&one, 1), branch));
    FERRULE_TRY(object, object_for(again, file));
  }
}

}  // namespace

Result<void> LfsUploader::upload(std::span<const PushFile* const> files, const std::string& branch,
                                 Meter& meter) {
  for (std::size_t at = 0; at < files.size(); at += kMaxBatch) {
    const auto some = files.subspan(at, std::min(kMaxBatch, files.size() - at));
    FERRULE_TRY(const auto answer, batch(repository_, some, branch));
    for (const auto* file : some) {
      FERRULE_TRY(auto object, object_for(answer, *file));
      FERRULE_CHECK(send_one(repository_, *file, std::move(object), branch, meter));
      meter.file_done();
    }
  }
  return {};
}

}  // namespace ferrule::hub
