// SPDX-License-Identifier: Apache-2.0
#include "hub/object_store/pull_from_store.hpp"

#include <utility>
#include <vector>

#include "base/try.hpp"
#include "hub/files/cache.hpp"
#include "hub/files/place_files.hpp"
#include "hub/files/remote_file.hpp"
#include "hub/object_store/object_manifest.hpp"
#include "hub/object_store/object_store.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/fetch.hpp"
#include "hub/transport/meter.hpp"
#include "hub/transport/watcher.hpp"
#include "io/digest.hpp"
#include "io/folder.hpp"
#include "io/partial_file.hpp"
#include "io/remove_tree.hpp"

namespace ferrule::hub {
namespace {

Result<void> fetch_one(Session& session, const ObjectStore& store, const RemoteFile& file,
                       const io::Folder& staging, const Stop& stop, Meter& meter) {
  const auto slash = file.path.rfind('/');
  FERRULE_TRY(const auto folder,
              staging.make_below(slash == std::string::npos ? "" : file.path.substr(0, slash)));
  const auto name = slash == std::string::npos ? file.path : file.path.substr(slash + 1);
  const auto request = store.request(Method::kGet, file.path, kEmptySha256);
  Source source{.url = request.url,
                .what = file.path + " of " + store.name,
                .size = file.size,
                .sign_as = request.sign_as,
                .sign_for = request.sign_for,
                .headers = request.headers};
  for (int tried = 1;; ++tried) {
    FERRULE_TRY(auto partial, io::PartialFile::open(folder, name));
    if (file.sha256.empty())
      FERRULE_CHECK(partial.clear());  // There is no digest to tell old bytes from new.
    const auto fetched = fetch(*session.lanes.take(stop), source, partial, meter);
    if (!fetched && !is(fetched.error(), Failure::kIntegrity) && tried == 1) return fetched.error();
    if (fetched) {
      if (file.sha256.empty()) return {};
      FERRULE_TRY(const auto opened, folder.open_file(name));
      FERRULE_TRY(const bool intact, is_intact(*opened, folder.path() / name, file, session.memo));
      if (intact) return {};
    }
    FERRULE_CHECK(partial.clear());
    // Another push may have replaced the object; the one that the manifest lists was kept.
    source.url = store.request(Method::kGet, kept_name(file.sha256), kEmptySha256).url;
    if (tried >= 2) {
      return fail(Failure::kIntegrity,
                  source.what + ": the content does not match the manifest, expected sha256 " +
                      file.sha256);
    }
  }
}

}  // namespace

Result<PullReport> pull_from_store(Session& session, const std::string& source,
                                   const PullOptions& options) {
  FERRULE_TRY(const auto store, ObjectStore::open(source));
  if (!options.revision.empty()) {
    return fail(Failure::kUsage, "an object store does not have revisions");
  }
  if (options.offline) {
    return fail(Failure::kOffline, store.name + ": offline, so no request is made");
  }
  const auto watcher = one_at_a_time(options.watcher);
  session.http.watch(watcher);
  const auto own =
      session.settings.home / "ferrule" / "stores" / io::sha256_hex(store.name).substr(0, 32);
  PullReport out{.repo = store.name, .revision = {}, .commit = {}, .path = own, .files = {}};
  if (!options.output.empty()) out.path = options.output;
  FERRULE_TRY(const auto manifest, read_manifest(session.http, store));
  std::vector<RemoteFile> all;
  if (manifest) {
    all = manifest->files;
    out.commit = io::sha256_hex(manifest->text);
  } else {
    FERRULE_TRY(all,
                store.writable ? list_objects(session.http, store) : probe(session.http, store));
  }
  FERRULE_TRY(const auto files, choose_files(all, options.files, store.name));
  auto staging_path = own;
  staging_path += ".part";
  FERRULE_TRY(const auto staging, io::Folder::make(staging_path));
  Progress progress;
  for (const auto& file : files) progress.bytes_total += file.size;
  progress.files_total = files.size();
  Meter meter(watcher, progress);
  Stop stop;
  FERRULE_CHECK(together(files.size(), stop, [&](std::size_t i) -> Result<void> {
    FERRULE_CHECK(fetch_one(session, store, files[i], staging, stop, meter));
    meter.file_done();
    return {};
  }));
  for (const auto& file : files) out.files.push_back(file.path);
  FERRULE_CHECK(place_files(staging_path, files, out.path));
  (void)io::discard_tree(staging_path).has_value();  // What is left there harms no later pull.
  return out;
}

}  // namespace ferrule::hub
