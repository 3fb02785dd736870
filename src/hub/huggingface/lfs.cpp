// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/lfs.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/huggingface/lfs_answer.hpp"
#include "hub/huggingface/lfs_transfer.hpp"
#include "hub/transport/answer.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/http_failure.hpp"
#include "hub/transport/http_retry.hpp"

namespace ferrule::hub {
namespace {

constexpr std::size_t kMaxBatch = 256;

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
    return fail(Failure::kUploadRefused,
                "the Hub wants uploads by " + quote(transfer) + ", expected basic or multipart");
  }
  return json;
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
      auto error = http_failure(response, "uploading " + quote(file.path));
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
