// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/export.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/written_file.hpp"

/// Adapters on the Hugging Face Hub and in object stores. A library of its own
/// (`find_package(ferrule COMPONENTS hub)`, target ferrule::hub): the core needs no network.
///
/// Failures carry the rules HB-* (docs/rules/HB.md), the HTTP status and the server's request id
/// if there are any; failure_kind() gives a word for each.
namespace ferrule::hub {

/// The Hub's address, the user's token, and how long to wait.
struct Settings {
  /// Without a trailing slash.
  std::string endpoint = "https://huggingface.co";
  /// Empty: anonymous. Sent to the endpoint's own origin and nowhere else.
  std::string token = {};
  /// The folder "ferrule" in it has digests of files and unfinished uploads.
  std::filesystem::path home = {};
  std::filesystem::path cache = {};
  bool offline = false;
  bool symlinks = true;
  std::chrono::seconds connect_timeout{10};
  /// Longest silence in a download or an upload.
  std::chrono::seconds transfer_timeout{10};
  /// Longest silence of the Hub before an answer. The Hub itself gives up after about a minute.
  std::chrono::seconds answer_timeout{30};
  std::chrono::seconds commit_timeout{90};
  /// The first pause before a request is sent again; each further one is twice as long.
  std::chrono::milliseconds first_pause{250};
  /// How often a request is sent before it counts as failed.
  int attempts = 6;
  /// If a server asks for a longer pause than this, the request fails.
  std::chrono::seconds longest_wait{330};

  /// As huggingface_hub reads them: HF_ENDPOINT, HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH,
  /// HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, time-outs and the rest (docs/hub.md).
  FERRULE_API static Settings from_environment();
};

/// The progress of a push or pull.
struct Progress {
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
  std::uint64_t files_done = 0;
  std::uint64_t files_total = 0;
};

/// Functions that a push or pull calls, one at a time: with progress, and with warnings that the
/// user should see. They are called from the thread that pushes or pulls and from those that
/// transfer.
struct Watcher {
  std::function<void(const Progress&)> progress = {};
  std::function<void(std::string_view)> warning = {};
  /// Called at least every second, during transfers and while waiting for servers. If it returns
  /// true, the call fails with HB-21; the same call later sends or fetches only what is missing.
  std::function<bool()> cancelled = {};
};

/// Who may see the repository that a push goes to. Object stores take kDefault only.
enum class Privacy : std::uint8_t {
  kDefault,       ///< An existing repository stays as it is; the Hub decides about a new one.
  kPrivate,       ///< A new repository is private; an existing public one is refused (HB-15).
  kPrivateIfNew,  ///< A new repository is private; an existing one stays as it is.
};

struct PushOptions {
  /// A branch, created if it is missing; empty is "main".
  std::string revision = {};
  Privacy privacy = Privacy::kDefault;
  bool create_pr = false;
  std::string commit_message = {};
  std::string commit_description = {};
  OpenOptions open = {};
  Watcher watcher = {};
  /// Files that were just saved (SaveReport::written). They are not hashed again unless they have
  /// changed.
  std::vector<WrittenFile> written = {};
  /// Patterns of files to send too, besides the adapters in the directory and below it with
  /// their cards, tokenizers and other small configuration. `*` and `?`; a pattern without a slash
  /// matches names, others paths. A hidden file (".env") is sent only if a pattern writes out its
  /// dot.
  std::vector<std::string> include = {};
  /// Patterns of files not to send.
  std::vector<std::string> exclude = {};
  /// Send everything except hidden and temporary files: training state too.
  bool all = false;
  /// Only say what would be sent: makes no request.
  bool dry_run = false;
};

/// A file or folder (with a slash at its end) that a push did not send.
struct LeftBehind {
  std::string path;
  /// "hidden", "training state", "temporary", "excluded", "not part of an adapter" or "a link to a
  /// folder".
  std::string why;
};

struct PushReport {
  /// With its namespace.
  std::string repo;
  std::string revision;
  /// The head after the push: the new commit, or the one that already has these files.
  std::string commit;
  std::string url;
  /// Empty if no pull request was opened.
  std::string pr_url;
  /// Paths in the repository.
  std::vector<std::string> uploaded;
  std::vector<std::string> unchanged;
  /// True if nothing was sent because PushOptions::dry_run is set. `commit` and `url` are empty
  /// then.
  bool dry_run = false;
  /// Every path that was chosen, sorted: in a dry run what would be compared with the Hub and sent.
  std::vector<std::string> selected;
  /// Sorted by path.
  std::vector<LeftBehind> left_behind;
};

struct PullOptions {
  /// Branch, tag, commit or `refs/pr/N`; empty is "main".
  std::string revision = {};
  /// Instead of Settings::cache.
  std::filesystem::path cache = {};
  /// The files are copied here, all or none; if it is empty, they stay in the cache.
  std::filesystem::path output = {};
  /// Only these paths; empty means all.
  std::vector<std::string> files = {};
  bool offline = false;
  Watcher watcher = {};
};

struct PullReport {
  std::string repo;
  std::string revision;
  std::string commit;
  /// The snapshot in the cache, or the output folder.
  std::filesystem::path path;
  /// Relative to it, sorted.
  std::vector<std::string> files;
};

struct Session;  // Internal.

/// A client of one Hub and of object stores. It keeps connections open and remembers digests of
/// files. Not safe for several threads.
class FERRULE_API HubClient {
 public:
  explicit HubClient(Settings settings = Settings::from_environment());
  HubClient(HubClient&&) noexcept;
  HubClient& operator=(HubClient&&) noexcept;
  ~HubClient();

  const Settings& settings() const noexcept;

  /// Verifies an adapter directory and sends it to `destination`: a repository of the Hub ("name"
  /// or "namespace/name"), or `s3://bucket/prefix`. The Hub gets one commit, or none if it has all
  /// of the files already; those that it has are neither hashed twice nor sent. After a failure
  /// the same call sends only what is missing.
  Result<PushReport> push(const std::filesystem::path& directory, const std::string& destination,
                          const PushOptions& options = {});

  /// Fetches the files of `source`: a repository of the Hub at a revision, `s3://bucket/prefix`, or
  /// the `https://` address of a folder. Each file is checked against the hash that the Hub, or the
  /// store's manifest, lists for it.
  Result<PullReport> pull(const std::string& source, const PullOptions& options = {});

  /// A folder that can be opened as an adapter, for an
  /// `hf://user/repo[@revision][/subfolder]`, pulled through the cache, or an object store.
  /// With `headers_only` the data of large weights are holes of zeros: enough to list tensors, not
  /// to check values.
  struct Remote {
    std::filesystem::path path;
    std::string commit = {};
    bool values = true;
    /// Keeps a temporary folder alive. The folder is deleted with the last copy.
    std::shared_ptr<void> hold = {};
  };
  Result<Remote> open_remote(const std::string& reference, bool headers_only,
                             const PullOptions& options = {});

 private:
  std::unique_ptr<Session> session_;
};

/// HubClient::push() of a client made for this call.
FERRULE_API Result<PushReport> push(const std::filesystem::path& directory,
                                    const std::string& destination, const PushOptions& options = {},
                                    const Settings& settings = Settings::from_environment());

/// HubClient::pull() of a client made for this call.
FERRULE_API Result<PullReport> pull(const std::string& source, const PullOptions& options = {},
                                    const Settings& settings = Settings::from_environment());

/// Whether open_remote() accepts the text ("hf://...", "s3://...", "https://...", "http://...").
FERRULE_API bool is_remote(std::string_view text) noexcept;

/// Whether the text can be a repository of the Hub, "namespace/name". A path can look the same.
FERRULE_API bool is_repo_id(std::string_view text) noexcept;

/// What a user may write for an adapter: a path, an address (is_remote()), or "namespace/name" for
/// a repository of the Hub. The last is taken for one only if the path does not exist and its first
/// folder does not either; if the Hub does not have it, the error is kNotFound and says both.
/// A path is returned as it is, whether it exists or not. Fails as open_remote() does.
FERRULE_API Result<HubClient::Remote> locate(
    const std::string& text, bool headers_only, const PullOptions& options = {},
    const Settings& settings = Settings::from_environment());

/// locate() without the cache: everything is fetched into a temporary folder, which is deleted with
/// Remote::hold. For files that should be looked at before any program can find them.
FERRULE_API Result<HubClient::Remote> locate_apart(
    const std::string& text, const PullOptions& options = {},
    const Settings& settings = Settings::from_environment());

/// locate() for a base model, of which only headers are needed: a path, an address, "name" or
/// "namespace/name". A repository is looked up in the cache (its files are not hashed) and then,
/// unless offline, on the Hub, from where only headers are fetched.
FERRULE_API Result<HubClient::Remote> locate_base(
    const std::string& text, const PullOptions& options = {},
    const Settings& settings = Settings::from_environment());

/// The base model that a config names (`base_model_name_or_path` at `revision`): a path that exists
/// or a repository. Addresses are not followed: a config may come from anybody. Fails with
/// kInvalidArgument if it names none, kNotFound, or as open_remote() does.
FERRULE_API Result<HubClient::Remote> locate_base_of(
    const AdapterConfig& config, const PullOptions& options = {},
    const Settings& settings = Settings::from_environment());

/// A word for a failure of this library, for programs: "usage", "offline", "network",
/// "authentication", "repository_not_found", "gated", "revision_not_found", "entry_not_found",
/// "forbidden", "rate_limited", "server", "bad_answer", "integrity", "unsafe_path", "public",
/// "conflict", "card", "upload_refused", "changed", "incomplete", "cancelled"; "adapter" if
/// the adapter breaks a rule, and "system" for an error of the operating system.
FERRULE_API std::string_view failure_kind(const Error& error) noexcept;

}  // namespace ferrule::hub
