// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "ferrule/hub.hpp"
#include "ferrule/text.hpp"
#include "hub/files/session.hpp"
#include "hub/huggingface/header_folder.hpp"
#include "hub/huggingface/pull.hpp"
#include "hub/huggingface/reference.hpp"
#include "hub/object_store/object_store.hpp"
#include "hub/object_store/pull_from_store.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/watcher.hpp"

namespace ferrule::hub {
namespace {

/// All files below the folder; all files for the root.
std::vector<std::string> files_below(const std::vector<RemoteFile>& files,
                                     const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& file : files) {
    if (folder.empty() || file.path.rfind(folder + "/", 0) == 0) out.push_back(file.path);
  }
  return out;
}

}  // namespace

Result<HubClient::Remote> HubClient::open_remote(const std::string& text, bool headers_only,
                                                 const PullOptions& options) {
  if (is_object_store(text)) {
    FERRULE_TRY(const auto pulled, pull_from_store(*session_, text, options));
    return Remote{.path = pulled.path, .commit = pulled.commit};
  }
  FERRULE_TRY(const auto reference, Reference::parse(text));
  PullOptions wanted = options;
  wanted.output.clear();
  wanted.files.clear();
  wanted.revision = reference.revision;
  wanted.watcher = one_at_a_time(options.watcher);
  session_->http.watch(wanted.watcher);
  // One commit for everything: the branch may move while its files are fetched.
  Pull pull(*session_, reference.repo, wanted);
  FERRULE_CHECK(pull.begin());
  const auto names = files_below(pull.files(), reference.folder);
  if (names.empty()) {
    return fail(Failure::kNoEntry, reference.repo + " has no folder " + quote(reference.folder));
  }
  if (headers_only && !pull.is_from_cache()) {
    FERRULE_TRY(auto folder, fetch_header_folder(*session_, pull, reference.folder));
    if (folder) {
      auto path = folder->path();
      return Remote{.path = std::move(path),
                    .commit = pull.commit(),
                    .values = false,
                    .hold = std::make_shared<io::HollowFolder>(std::move(*folder))};
    }
  }
  FERRULE_TRY(const auto pulled, pull.take(names));
  return Remote{.path = reference.folder.empty() ? pulled.path : pulled.path / reference.folder,
                .commit = pulled.commit};
}

}  // namespace ferrule::hub
