// SPDX-License-Identifier: Apache-2.0
#include "hub/files/remote_file.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <string_view>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/files/names.hpp"
#include "hub/transport/failure.hpp"

namespace ferrule::hub {

Result<void> check_hashes(const RemoteFile& file) {
  const bool good = is_hex(file.blob, 40) && (file.sha256.empty() || is_hex(file.sha256, 64)) &&
                    (file.xet.empty() || is_hex(file.xet, 64));
  if (good) return {};
  return fail(Failure::kBadAnswer,
              "the hash that the listing gives for " + quote(file.path) + " is malformed");
}

Result<void> check_listing(std::vector<RemoteFile>& files) {
  std::sort(files.begin(), files.end(),
            [](const RemoteFile& a, const RemoteFile& b) { return a.path < b.path; });
  std::set<std::string, std::less<>> names;
  for (const auto& file : files) {
    if (!is_safe_path(file.path)) {
      return fail(Failure::kUnsafePath,
                  "the listing has a path that leads out of its folder: " + quote(file.path));
    }
    if (!names.insert(file.path).second) {
      return fail(Failure::kUnsafePath, "the listing has " + quote(file.path) + " twice");
    }
  }
  for (const auto& file : files) {
    for (auto slash = file.path.find('/'); slash != std::string::npos;
         slash = file.path.find('/', slash + 1)) {
      if (!names.contains(std::string_view(file.path).substr(0, slash))) continue;
      return fail(Failure::kUnsafePath,
                  "the listing has a file in place of a folder of " + quote(file.path));
    }
  }
  return {};
}

Result<std::vector<RemoteFile>> choose_files(const std::vector<RemoteFile>& all,
                                             const std::vector<std::string>& wanted,
                                             const std::string& where) {
  if (wanted.empty()) return all;
  std::vector<RemoteFile> chosen;
  for (const auto& name : wanted) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const RemoteFile& file) { return file.path == name; });
    if (found == all.end()) {
      return fail(Failure::kNoEntry, where + " does not have a file " + quote(name));
    }
    chosen.push_back(*found);
  }
  FERRULE_CHECK(check_listing(chosen));
  return chosen;
}

}  // namespace ferrule::hub
