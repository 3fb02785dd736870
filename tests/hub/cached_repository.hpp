// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/hub.hpp"
#include "hub/files/cache.hpp"
#include "hub/files/digest_memo.hpp"
#include "temp_dir.hpp"

namespace ferrule::test {

/// A cache in which "ann/a" has been pulled: two adapters that PEFT saved, at its root and in
/// "sub".
class CachedRepository {
 public:
  CachedRepository() {
    const auto adapter = std::filesystem::path(FERRULE_TEST_DATA) / "golden/cases/lora/expected";
    auto cache = hub::RepoCache::make(folder_.path(), "ann/a");
    EXPECT_TRUE(cache);
    for (const std::string prefix : {"", "sub/"}) {
      for (const auto* name : {"adapter_config.json", "adapter_model.safetensors"}) {
        add(*cache, prefix + name, read_file(adapter / name));
      }
    }
    EXPECT_TRUE(hub::check_listing(files_));
    EXPECT_TRUE(cache->write_tree(commit(), files_));
    EXPECT_TRUE(cache->write_ref("main", commit()));
  }

  const std::filesystem::path& path() const { return folder_.path(); }
  std::filesystem::path snapshot() const {
    return path() / "models--ann--a" / "snapshots" / commit();
  }
  std::string commit() const { return std::string(40, '1'); }
  const std::vector<hub::RemoteFile>& files() const { return files_; }

  /// A client that makes no request and reads this cache.
  hub::Settings settings() const {
    hub::Settings settings;
    settings.endpoint = "http://127.0.0.1:9";
    settings.home = path() / "home";
    settings.cache = path();
    settings.offline = true;
    return settings;
  }

 private:
  void add(const hub::RepoCache& cache, const std::string& path, const std::string& content) {
    write_file(folder_ / "scratch", content);
    hub::DigestMemo memo({});
    std::array<hub::DigestJob, 1> jobs = {
        hub::DigestJob{folder_ / "scratch", hub::Digest::kGitBlob}};
    EXPECT_TRUE(hub::digest_files(jobs, memo));
    hub::RemoteFile file{.path = path, .size = content.size(), .blob = jobs[0].sum};
    write_file(folder_ / "models--ann--a/blobs" / file.blob, content);
    EXPECT_TRUE(cache.place(commit(), file, true));
    files_.push_back(std::move(file));
  }

  TempDir folder_;
  std::vector<hub::RemoteFile> files_;
};

}  // namespace ferrule::test
