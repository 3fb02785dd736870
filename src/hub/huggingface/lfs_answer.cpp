// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/lfs_answer.hpp"

#include <algorithm>
#include <chrono>

#include "ferrule/text.hpp"
#include "hub/transport/answer.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/url.hpp"

namespace ferrule::hub {
namespace {

constexpr std::uint64_t kMaxLifetime = 7 * 24 * 3600;  // Of an address, in seconds.

}  // namespace

Error upload_refused(const PushFile& file, const std::string& why) {
  return fail(Failure::kUploadRefused, why, file.path);
}

Result<Json> object_for(const Json& answer, const PushFile& file) {
  const auto* objects = answer.find("objects");
  const auto* list = objects != nullptr ? objects->if_array() : nullptr;
  if (list != nullptr) {
    for (const auto& object : *list) {
      if (text_member(object, "oid") != file.sha256) continue;
      if (const auto* error = object.find("error"); error != nullptr && error->is_object()) {
        auto out = upload_refused(
            file, "the Hub refuses the upload: " + quote(text_member(*error, "message"), 500));
        out.http_status = static_cast<int>(size_member(*error, "code").value_or(0) % 1000);
        return out;
      }
      return object;
    }
  }
  return upload_refused(file, "the Hub's answer does not mention the file");
}

std::optional<Action> action(const Json& object, std::string_view name,
                             const std::string& endpoint) {
  const auto* actions = object.find("actions");
  const auto* found = actions != nullptr ? actions->find(name) : nullptr;
  if (found == nullptr || !found->is_object()) return std::nullopt;
  Action out;
  if (const auto lifetime = size_member(*found, "expires_in")) {
    const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    out.expires = now + static_cast<std::int64_t>(std::min(*lifetime, kMaxLifetime));
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

std::optional<Parts> read_parts(const Action& upload) {
  Parts parts;
  bool multipart = false;
  for (const auto& [key, value] : upload.headers) {
    if (key == "chunk_size") {
      multipart = true;
      parts.chunk = whole_number(value).value_or(0);
    } else if (const auto index = whole_number(key)) {
      parts.addresses[*index] = value;  // By number: "00010" comes after "00009".
    }
  }
  if (!multipart) return std::nullopt;
  parts.complete = upload.href;
  parts.expires = upload.expires;
  return parts;
}

}  // namespace ferrule::hub
