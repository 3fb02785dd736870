// SPDX-License-Identifier: Apache-2.0
// hf://user/repo[@revision][/subfolder]
#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/try.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "hub/files/cache.hpp"
#include "hub/files/names.hpp"
#include "hub/files/session.hpp"
#include "hub/huggingface/pull.hpp"
#include "hub/object_store/object_store.hpp"
#include "hub/object_store/pull_from_store.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/fetch.hpp"
#include "hub/transport/http_failure.hpp"
#include "hub/transport/http_retry.hpp"
#include "hub/transport/url.hpp"
#include "io/hollow_folder.hpp"

namespace ferrule::hub {
namespace {

constexpr std::string_view kScheme = "hf://";
// Smaller weights are pulled as well: one request, and the next command has them.
constexpr std::uint64_t kWorthRanges = 1U << 20U;
constexpr std::uint64_t kMaxHeaderBytes = 16U << 20U;

struct Reference {
  std::string repo;
  std::string revision;
  std::string folder;
};

/// A revision with slashes is written with %2F, or as refs/pr/N.
Result<Reference> parse(const std::string& text) {
  Reference out;
  std::string rest = text.substr(std::min(text.size(), kScheme.size()));
  while (rest.ends_with('/')) rest.pop_back();
  const auto owner = rest.find('/');
  const auto end = owner == std::string::npos ? std::string::npos : rest.find('/', owner + 1);
  const auto at = rest.find('@');
  if (at != std::string::npos && (end == std::string::npos || at < end)) {
    out.repo = rest.substr(0, at);
    auto tail = rest.substr(at + 1);
    std::size_t cut = tail.find('/');
    if (tail.rfind("refs/pr/", 0) == 0) cut = tail.find('/', std::string_view("refs/pr/").size());
    out.revision = tail.substr(0, cut);
    for (auto slash = out.revision.find("%2F"); slash != std::string::npos;
         slash = out.revision.find("%2F")) {
      out.revision.replace(slash, 3, "/");
    }
    if (out.revision.empty())
      return fail(Failure::kUsage, "expected a revision after '@': " + quote(text));
    if (cut != std::string::npos) out.folder = tail.substr(cut + 1);
  } else {
    out.repo = rest.substr(0, end);
    if (end != std::string::npos) out.folder = rest.substr(end + 1);
  }
  FERRULE_CHECK(check_repo_id(out.repo));
  if (!out.revision.empty()) FERRULE_CHECK(check_revision(out.revision));
  if (out.folder.empty() || is_safe_path(out.folder)) return out;
  return fail(Failure::kUsage, "expected a folder of the repository, found " + quote(out.folder));
}

/// The files of the adapter in that folder, or all of them where the folder is none.
std::vector<std::string> files_below(const std::vector<RemoteFile>& files,
                                     const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& file : files) {
    if (folder.empty() || file.path.rfind(folder + "/", 0) == 0) out.push_back(file.path);
  }
  return out;
}

/// `size` bytes of a file from `begin` on.
Result<std::string> fetch_range(Http& http, const Source& source, std::uint64_t begin,
                                std::uint64_t size) {
  Request request;
  request.url = source.url;
  request.what = source.what;
  request.with_token = true;
  request.headers = {
      {"Range", "bytes=" + std::to_string(begin) + "-" + std::to_string(begin + size - 1)}};
  request.limit = static_cast<std::size_t>(size);
  std::optional<Error> failed;
  for (int tried = 1; tried <= http.settings().attempts; ++tried) {
    auto response = get_following(http, request);
    if (response && response->status == 206 && response->text.size() == size) return response->text;
    if (response) {
      // Whoever has no ranges sends it all: then it is pulled.
      if (response->ok()) return fail(Failure::kNoEntry, source.what + ": no ranges");
      if (!may_pass(response->status)) return http_failure(*response, source.what);
      failed = http_failure(*response, source.what);
    } else {
      if (!is(response.error(), Failure::kNetwork)) return response.error();
      failed = response.error();
    }
  }
  return std::move(*failed);
}

/// The header of a safetensors file: its length in eight bytes, and that many more.
Result<std::string> fetch_header(Http& http, const Source& source) {
  constexpr std::uint64_t kFirst = 65536;
  const auto first = std::min(kFirst, source.size);
  FERRULE_TRY(auto head, fetch_range(http, source, 0, first));
  if (head.size() < 8) return fail(Failure::kNoEntry, source.what + ": too short for a header");
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i)
    length = length << 8U | static_cast<unsigned char>(head[static_cast<std::size_t>(i)]);
  if (length > std::min(kMaxHeaderBytes, source.size - 8)) {
    return fail(Failure::kNoEntry, source.what + ": its header asks for the whole file");
  }
  if (length + 8 > first) {
    FERRULE_TRY(const auto rest, fetch_range(http, source, first, length + 8 - first));
    head += rest;
  }
  head.resize(static_cast<std::size_t>(length + 8));
  return head;
}

}  // namespace

/// A folder with the small files of the adapter and its weights as a header before a hole.
static Result<std::optional<HubClient::Remote>> open_headers(Session& session, Pull& pull,
                                                             const Reference& reference,
                                                             const PullOptions& options) {
  const auto prefix = reference.folder.empty() ? std::string() : reference.folder + "/";
  const auto weights =
      std::find_if(pull.files().begin(), pull.files().end(),
                   [&](const auto& file) { return file.path == prefix + kSafetensorsFile; });
  if (weights == pull.files().end() || weights->size < kWorthRanges) {
    return std::optional<HubClient::Remote>();
  }
  FERRULE_TRY(const bool cached, pull.cache().has_blob(*weights, session.memo));
  if (cached) return std::optional<HubClient::Remote>();
  PullOptions small = options;
  small.revision = pull.commit();
  small.files = {prefix + kConfigFile};
  FERRULE_TRY(const auto config, HubClient(session.settings).pull(reference.repo, small));
  const Source source{.url = pull.repository().page("/resolve/" + pull.commit() + "/" +
                                                    percent_encode(weights->path, true)),
                      .what = weights->path + " of " + reference.repo,
                      .size = weights->size};
  const auto head = fetch_header(session.http, source);
  if (!head) {
    if (is(head.error(), Failure::kNoEntry)) return std::optional<HubClient::Remote>();
    return head.error();
  }
  FERRULE_TRY(auto folder, io::HollowFolder::make());
  FERRULE_CHECK(folder.copy(config.path / small.files.front(), kConfigFile));
  FERRULE_CHECK(folder.write(kSafetensorsFile, *head, weights->size));
  HubClient::Remote remote;
  remote.path = folder.path();
  remote.commit = pull.commit();
  remote.values = false;
  remote.hold = std::make_shared<io::HollowFolder>(std::move(folder));
  return std::optional<HubClient::Remote>(std::move(remote));
}

Result<HubClient::Remote> HubClient::open_remote(const std::string& text, bool headers_only,
                                                 const PullOptions& options) {
  session_->http.watch(options.watcher);
  if (is_object_store(text)) {
    FERRULE_TRY(const auto pulled, pull_from_store(*session_, text, options));
    return Remote{.path = pulled.path, .commit = pulled.commit};
  }
  FERRULE_TRY(const auto reference, parse(text));
  PullOptions wanted = options;
  wanted.output.clear();
  wanted.revision = reference.revision;
  wanted.files.clear();
  const bool offline = session_->settings.offline || options.offline;
  if (!offline) {
    Pull pull(*session_, reference.repo, wanted);
    auto resolved = pull.resolve();
    // Where the Hub does not answer the cache may: pull() below decides it.
    if (!resolved && !is(resolved.error(), Failure::kNetwork) &&
        !is(resolved.error(), Failure::kServer)) {
      return std::move(resolved).error();
    }
    if (resolved) {
      if (headers_only) {
        FERRULE_TRY(auto remote, open_headers(*session_, pull, reference, wanted));
        if (remote) return std::move(*remote);
      }
      wanted.files = files_below(pull.files(), reference.folder);
      if (wanted.files.empty()) {
        return fail(Failure::kNoEntry,
                    reference.repo + " has no folder " + quote(reference.folder));
      }
    }
  }
  FERRULE_TRY(const auto pulled, this->pull(reference.repo, wanted));
  Remote remote;
  remote.path = reference.folder.empty() ? pulled.path : pulled.path / reference.folder;
  remote.commit = pulled.commit;
  return remote;
}

}  // namespace ferrule::hub
