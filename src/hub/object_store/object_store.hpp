// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ferrule/result.hpp"
#include "hub/transport/http_message.hpp"

namespace ferrule::hub {

/// "s3://bucket/prefix", or an http or https address of a folder.
bool is_object_store(std::string_view text) noexcept;

/// An adapter in an object store: objects below a prefix, and how requests to them are signed.
///
///   PREFIX/adapter_config.json, ...   the files
///   PREFIX/ferrule-manifest.json      size and SHA-256 of each of them (object_manifest.hpp)
///   PREFIX/.ferrule/SHA256            what a replaced object contained
///
/// A push (push_to_store.hpp)
///   1. verifies the adapter and hashes its files;
///   2. reads the manifest; files with the same digest are not sent;
///   3. copies each object that it will replace to .ferrule/SHA256;
///   4. sends the files (s3_upload.hpp), and checks that they did not change (HB-19);
///   5. puts the manifest last.
/// A pull (pull_from_store.hpp) reads the manifest, then each file, and compares the digest. If it
/// differs, a push has replaced the object in the meantime, and .ferrule/SHA256 is read instead. So
/// a reader gets all files of one push, or an error (HB-13).
struct ObjectStore {
  /// The folder's address, without a trailing slash.
  std::string url;
  /// As the user named it.
  std::string name;
  /// Empty if requests are not signed.
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

  /// The address for requests about the whole bucket.
  std::string bucket_url() const;

  /// The name of an object for the header x-amz-copy-source.
  std::string copy_source(const std::string& path) const;

  Request request(Method method, std::string_view path, std::string_view payload_sha256) const;
};

}  // namespace ferrule::hub
