// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/try.hpp"
#include "ferrule/hub.hpp"
#include "ferrule/text.hpp"
#include "hub/files/cache.hpp"
#include "hub/files/names.hpp"
#include "hub/huggingface/reference.hpp"
#include "hub/object_store/object_store.hpp"
#include "hub/transport/failure.hpp"
#include "io/hollow_folder.hpp"
#include "io/kind_at.hpp"

namespace ferrule::hub {
namespace {

/// How often the Hub is asked about what may be a misspelled path.
constexpr int kGuessAttempts = 2;

Result<bool> is_here(const std::string& path) {
  FERRULE_TRY(const auto kind, io::kind_at(path));
  return kind != io::EntryKind::kNothing;
}

/// Whether the Hub's answer says no more than that nothing was found.
bool found_nothing(const Error& error) {
  return is(error, Failure::kOffline) || is(error, Failure::kNetwork) ||
         is(error, Failure::kNoRepository) || is(error, Failure::kAuthentication) ||
         is(error, Failure::kServer) || is(error, Failure::kBadAnswer);
}

/// An error about the path, which also says what the Hub answered.
Error not_here(const std::string& text, const Error& answer) {
  return {.code = ErrorCode::kNotFound,
          .message = "there is no such file or directory; as a repository of the Hub: " +
                     (answer.rule.empty() ? "" : "[" + answer.rule + "] ") + answer.message,
          .path = text,
          .system_errno = ENOENT};
}

/// The snapshot of a base in the cache. Its files are not hashed: a base is large, and only its
/// headers are read.
struct Cached {
  std::filesystem::path path;  // Empty if there is none.
  std::string commit;
  bool has_weights = false;
  bool has_config = false;  // And no index of weights that are not there.
};

Result<Cached> find_cached(const std::filesystem::path& root, const Reference& reference) {
  FERRULE_TRY(const auto cache, RepoCache::open(root, reference.repo));
  const auto commit =
      cache ? cache->commit_of(reference.revision.empty() ? "main" : reference.revision)
            : std::nullopt;
  if (!commit) return Cached{};
  FERRULE_TRY(const auto files, cache->linked_files(*commit));
  if (files.empty()) return Cached{};
  const auto has = [&](std::string_view name) {
    return std::any_of(files.begin(), files.end(),
                       [&](const RemoteFile& file) { return file.path.ends_with(name); });
  };
  auto path = cache->snapshot_path(*commit);
  if (!reference.folder.empty()) path /= reference.folder;
  return Cached{.path = std::move(path),
                .commit = *commit,
                .has_weights = has(".safetensors") || has(".bin"),
                .has_config = has("config.json") && !has(".index.json")};
}

/// In the cache, else on the Hub.
Result<HubClient::Remote> find_base(const Reference& reference, const PullOptions& options,
                                    const Settings& settings) {
  FERRULE_TRY(const auto cached,
              find_cached(options.cache.empty() ? settings.cache : options.cache, reference));
  const HubClient::Remote in_cache{
      .path = cached.path, .commit = cached.commit, .values = true, .hold = nullptr};
  if (cached.has_weights) return in_cache;
  auto opened = HubClient(settings).open_remote(reference.text(), true, options);
  if (opened || !cached.has_config) return opened;
  // The config alone still tells something.
  return in_cache;
}

Error no_such_base(const std::string& name) {
  return {.code = ErrorCode::kNotFound,
          .message = "the base model is neither a file or directory nor a repository of the Hub",
          .path = name,
          .system_errno = ENOENT};
}

}  // namespace

bool is_repo_id(std::string_view text) noexcept {
  return std::count(text.begin(), text.end(), '/') == 1 && check_repo_id(text);
}

Result<HubClient::Remote> locate(const std::string& text, bool headers_only,
                                 const PullOptions& options, const Settings& settings) {
  if (is_remote(text)) return HubClient(settings).open_remote(text, headers_only, options);
  if (!is_repo_id(text)) return HubClient::Remote{.path = text};
  // "outputs/my-adaptr" in a folder that has "outputs" is a misspelled path.
  for (const auto& place : {text, text.substr(0, text.find('/'))}) {
    FERRULE_TRY(const bool here, is_here(place));
    if (here) return HubClient::Remote{.path = text};
  }
  auto brief = settings;
  brief.attempts = std::min(brief.attempts, kGuessAttempts);
  auto opened = HubClient(brief).open_remote("hf://" + text, headers_only, options);
  if (!opened && found_nothing(opened.error())) return not_here(text, opened.error());
  return opened;
}

Result<HubClient::Remote> locate_apart(const std::string& text, const PullOptions& options,
                                       const Settings& settings) {
  FERRULE_TRY(const bool here, is_here(text));
  if (here || !(is_remote(text) || is_repo_id(text))) return HubClient::Remote{.path = text};
  FERRULE_TRY(auto folder, io::HollowFolder::make());
  auto apart = settings;
  apart.cache = folder.path() / "cache";
  apart.home = folder.path() / "home";
  auto wanted = options;
  wanted.cache.clear();
  FERRULE_TRY(auto remote, locate(text, false, wanted, apart));
  remote.hold = std::make_shared<io::HollowFolder>(std::move(folder));
  return remote;
}

Result<HubClient::Remote> locate_base(const std::string& text, const PullOptions& options,
                                      const Settings& settings) {
  FERRULE_TRY(const bool here, is_here(text));
  if (here) return HubClient::Remote{.path = text};
  const bool is_address = is_remote(text);
  if (is_object_store(text)) return HubClient(settings).open_remote(text, true, options);
  const auto reference = Reference::parse(is_address ? text : "hf://" + text);
  if (!reference) return is_address ? reference.error() : no_such_base(text);
  auto opened = find_base(*reference, options, settings);
  if (opened || is_address || !found_nothing(opened.error())) return opened;
  return not_here(text, opened.error());
}

Result<HubClient::Remote> locate_base_of(const AdapterConfig& config, const PullOptions& options,
                                         const Settings& settings) {
  const auto name = config.base_model_name_or_path().value_or("");
  if (name.empty()) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = "the config does not name its base model: give the base"};
  }
  FERRULE_TRY(const bool here, is_here(name));
  if (here) return HubClient::Remote{.path = name};
  // The config may come from anybody: no address in it is followed.
  if (!check_repo_id(name)) return no_such_base(name);
  Reference reference{.repo = name, .revision = config.text("revision").value_or(""), .folder = {}};
  if (!check_revision(reference.revision)) reference.revision.clear();
  auto opened = find_base(reference, options, settings);
  if (opened || !found_nothing(opened.error())) return opened;
  return not_here(name, opened.error());
}

}  // namespace ferrule::hub
