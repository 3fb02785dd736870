// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "hub/files/push_file.hpp"
#include "hub/files/remote_file.hpp"
#include "hub/object_store/object_store.hpp"
#include "hub/transport/http.hpp"

namespace ferrule::hub {

inline constexpr const char* kManifest = "ferrule-manifest.json";
inline constexpr std::string_view kKeptFolder = ".ferrule/";
/// The SHA-256 of no bytes.
inline constexpr const char* kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The name of the object that keeps the content of a replaced one.
inline std::string kept_name(const std::string& sha256) {
  return std::string(kKeptFolder) + sha256;
}

std::string manifest_text(const std::vector<PushFile>& files);

struct Manifest {
  std::string text;
  std::vector<RemoteFile> files;
};

/// `where` is the store, for messages.
Result<std::vector<RemoteFile>> parse_manifest(const std::string& text, const std::string& where);

/// The objects of one page of S3's listing, by their path below `prefix`.
Result<void> take_objects(std::string_view xml, const std::string& prefix,
                          std::vector<RemoteFile>& files);

/// nullopt if the folder has none.
Result<std::optional<Manifest>> read_manifest(Http& http, const ObjectStore& store);

/// The files that S3 lists below the prefix, with sizes and without digests.
Result<std::vector<RemoteFile>> list_objects(Http& http, const ObjectStore& store);

/// The files that every adapter has, in a folder that cannot be listed.
Result<std::vector<RemoteFile>> probe(Http& http, const ObjectStore& store);

}  // namespace ferrule::hub
