// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ferrule/result.hpp"
#include "hub/transport/http_message.hpp"

namespace ferrule::hub {

/// "s3://bucket/prefix", or an http or https address of a folder.
bool is_object_store(std::string_view text) noexcept;

/// A folder of objects: where it is, and how requests to it are signed.
struct ObjectStore {
  /// Of the folder, without a trailing slash.
  std::string url;
  /// As the user named it.
  std::string name;
  /// Empty where requests are not signed.
  std::string sign_as = {};
  std::string sign_for = {};
  std::string session_token = {};
  /// S3: it can be listed and written to.
  bool writable = false;
  std::string bucket = {};
  std::string prefix = {};

  /// Credentials, region and endpoint of S3 come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
  /// AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL_S3 and the like. Fails with HB-1.
  static Result<ObjectStore> open(const std::string& text);

  /// Where requests go that concern the bucket as a whole.
  std::string bucket_url() const;

  /// How S3 wants to be told of an object to copy.
  std::string copy_source(const std::string& path) const;

  Request request(Method method, std::string_view path, std::string_view payload_sha256) const;
};

}  // namespace ferrule::hub
