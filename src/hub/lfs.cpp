// SPDX-License-Identifier: Apache-2.0
#include "hub/lfs.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "base/quote.hpp"
#include "base/try.hpp"
#include "hub/answer.hpp"
#include "hub/failure.hpp"
#include "hub/lfs_transfer.hpp"
#include "hub/url.hpp"

namespace ferrule::hub {
namespace {

constexpr std::size_t kMaxBatch = 256;
constexpr int kFreshAddresses = 4;
constexpr std::uint64_t kLongestLife = 7 * 24 * 3600;  // Of an address, in seconds.

std::optional<Action> action(const Json& object, std::string_view name,
                             const std::string& endpoint) {
  const auto* actions = object.find("actions");
  const auto* found = actions != nullptr ? actions->find(name) : nullptr;
  if (found == nullptr || !found->is_object()) return std::nullopt;
  Action out;
  if (const auto lifetime = size_member(*found, "expires_in")) {
    const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    out.expires = now + static_cast<std::int64_t>(std::min(*lifetime, kLongestLife));
  }
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
  auto request =
      json_post(repository.page(".git/info/lfs/objects/batch"), "asking for uploads", text);
  request.headers = {{"Content-Type", kLfsMediaType}, {"Accept", kLfsMediaType}};
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
        auto out = upload_refused(file, "the Hub refuses the upload: " +
                                            base::quote(text_member(*error, "message"), 500));
        out.http_status = static_cast<int>(size_member(*error, "code").value_or(0) % 1000);
        return out;
      }
      return object;
    }
  }
  return upload_refused(file, "the Hub does not say where the file goes");
}

/// What the transfers of one push share.
struct Setting {
  const Repository& repository;
  Lanes& lanes;
  const std::string& branch;
  const Stop& stop;
  Meter& meter;
};

Result<Json> fresh_object(const Setting& setting, const PushFile& file) {
  const auto lane = setting.lanes.take(setting.stop);
  const PushFile* const one = &file;
  FERRULE_TRY(const auto again,
              batch(setting.repository.over(*lane), std::span(&one, 1), setting.branch));
  return object_for(again, file);
}

Result<void> send_one(const Setting& setting, const PushFile& file, Json object) {
  FERRULE_TRY(const auto input, io::InputFile::open(file.file));
  LfsTransfer transfer(setting.repository, setting.lanes, file, input, setting.stop, setting.meter);
  const auto& endpoint = setting.repository.http().settings().endpoint;
  for (int tried = 1;; ++tried) {
    const auto upload = action(object, "upload", endpoint);
    if (!upload) {
      setting.meter.add(static_cast<std::int64_t>(file.size));
      return {};  // The store has it.
    }
    FERRULE_TRY(const auto response, transfer.send(*upload));
    if (response.ok()) {
      const auto check = action(object, "verify", endpoint);
      return check ? transfer.verify(*check) : Result<void>();
    }
    if (tried >= kFreshAddresses || !wants_fresh_address(response.status)) {
      auto error = http_failure(response, "uploading " + base::quote(file.path));
      auto out = upload_refused(file, error.message);
      out.http_status = error.http_status;
      out.request_id = error.request_id;
      return out;
    }
    FERRULE_TRY(object, fresh_object(setting, file));
  }
}

}  // namespace

Result<void> LfsUploader::upload(std::span<const PushFile* const> files, const std::string& branch,
                                 Meter& meter) {
  for (std::size_t at = 0; at < files.size(); at += kMaxBatch) {
    const auto some = files.subspan(at, std::min(kMaxBatch, files.size() - at));
    FERRULE_TRY(const auto answer, batch(repository_, some, branch));
    std::vector<Json> objects;
    for (const auto* file : some) {
      FERRULE_TRY(auto object, object_for(answer, *file));
      objects.push_back(std::move(object));
    }
    Stop stop;
    const Setting setting{repository_, lanes_, branch, stop, meter};
    FERRULE_CHECK(together(some.size(), stop, [&](std::size_t i) -> Result<void> {
      FERRULE_CHECK(send_one(setting, *some[i], std::move(objects[i])));
      meter.file_done();
      return {};
    }));
  }
  return {};
}

}  // namespace ferrule::hub
