// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/push.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/try.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "format/card/front_matter.hpp"
#include "hub/files/names.hpp"
#include "hub/files/push_check.hpp"
#include "hub/huggingface/commit.hpp"
#include "hub/huggingface/lfs.hpp"
#include "hub/huggingface/repository.hpp"
#include "hub/transport/answer.hpp"
#include "hub/transport/failure.hpp"
#include "hub/transport/http_failure.hpp"
#include "hub/transport/http_retry.hpp"
#include "hub/transport/meter.hpp"
#include "hub/transport/url.hpp"
#include "hub/transport/watcher.hpp"

namespace ferrule::hub {
namespace {

constexpr std::size_t kMaxPreupload = 256;
constexpr int kCommitTries = 6;

/// One push of a verified directory (push_check.hpp) to the Hub:
///
///   1. check_private(): GET /api/models/ID, only if a private repository is wanted; an existing
///      public one is refused before its first bytes are sent (HB-15).
///   2. preupload(): POST .../preupload/REVISION with path, size and first bytes of each file. The
///      answer has the head commit, and for each file its digest on the Hub, and whether it goes by
///      LFS. If the repository or branch is missing, create it, and ask again.
///   3. digest(): hash what must be compared. If nothing differs, the push ends here: no commit.
///   4. check_card(): the Hub checks README.md (HB-17).
///   5. upload(): large files go to the store (lfs.hpp, HB-18).
///   6. With create_pr, open a pull request; its ref is the target from here on.
///   7. commit(): check that no file changed (HB-19), then POST .../commit/TARGET with the parent
///      (commit.hpp). After a lost reply or a 412, repeat 2 and 3, and send what still differs. So
///      there is one commit or none (HB-16).
///   8. With create_pr, mark the pull request as ready for review.
class Push {
 public:
  Push(Session& session, std::string repo_id, const PushOptions& options)
      : session_(session),
        options_(options),
        repository_(session.http, std::move(repo_id)),
        revision_(options.revision.empty() ? "main" : options.revision),
        target_(revision_) {}

  Result<PushReport> run(std::vector<PushFile> files);

 private:
  Result<void> look();
  Result<void> preupload();
  Result<void> preupload(std::span<PushFile> some);
  Result<void> make_what_is_missing(const Error& missing);
  Result<void> check_private();
  Result<void> digest();
  std::vector<const PushFile*> changed() const;
  Result<void> check_card();
  Result<void> upload(std::span<const PushFile* const> files);
  Result<void> commit();
  Result<bool> send_commit(std::span<const PushFile* const> files);
  Result<PushReport> report(bool committed);
  std::string summary() const;

  Session& session_;
  const PushOptions& options_;
  Repository repository_;
  std::string revision_;
  std::string target_;  // Where commits go: the revision, or the pull request's ref.
  std::vector<PushFile> files_;
  std::string head_;
  bool created_ = false;
  bool card_checked_ = false;
  bool privacy_checked_ = false;
  std::optional<PullRequest> pull_request_;
  std::string commit_url_;
  std::vector<std::string> uploaded_;
};

/// Refuses a public repository if a private one was asked for (HB-15).
Result<void> Push::check_private() {
  if (options_.privacy != Privacy::kPrivate || privacy_checked_) return {};
  FERRULE_TRY(const bool is_public, repository_.is_public());
  privacy_checked_ = true;
  if (!is_public) return {};
  return fail(Failure::kPublic, "repository " + repository_.id() +
                                    " exists and is public, but a private one was asked for: "
                                    "nothing was sent (allow it, or choose another name)");
}

Result<void> Push::preupload(std::span<PushFile> some) {
  Json::Array list;
  Json body;
  for (const auto& file : some) {
    list.push_back(Json::Object{
        {"path", file.path}, {"size", Json(file.size)}, {"sample", base64(file.sample)}});
    if (file.path == ".gitignore") {
      FERRULE_TRY(const auto text, read_text_file(file.file, format::kMaxCardBytes));
      body.set("gitIgnore", text);
    }
  }
  body.set("files", std::move(list));
  TextBody text(body.dump());
  auto request =
      json_post(repository_.api("/preupload/" + percent_encode(target_, false) +
                                (options_.create_pr && !pull_request_ ? "?create_pr=1" : "")),
                "repository " + repository_.id(), text);
  FERRULE_TRY(const auto response, session_.http.require(request));
  FERRULE_TRY(const auto json, json_answer(response, request.what));
  head_ = text_member(json, "commitOid");
  const auto* answers = json.find("files");
  const auto* items = answers != nullptr ? answers->if_array() : nullptr;
  std::size_t known = 0;
  for (auto& file : some) {
    if (items == nullptr) break;
    const auto item = std::find_if(items->begin(), items->end(), [&](const Json& one) {
      return text_member(one, "path") == file.path;
    });
    if (item == items->end()) continue;
    ++known;
    const auto mode = text_member(*item, "uploadMode");
    if (mode != "lfs" && mode != "regular") {
      return fail(Failure::kBadAnswer, request.what + ": unknown upload mode, " + quote(mode),
                  file.path);
    }
    file.large = mode == "lfs" && file.size > 0;  // The store takes no empty objects.
    file.ignored = true_member(*item, "shouldIgnore");
    file.remote = text_member(*item, "oid");
  }
  if (known == some.size()) return {};
  return fail(Failure::kBadAnswer, request.what + ": the Hub described " + std::to_string(known) +
                                       " files, expected " + std::to_string(some.size()));
}

Result<void> Push::preupload() {
  const std::span<PushFile> all(files_);
  for (std::size_t at = 0; at < all.size(); at += kMaxPreupload) {
    FERRULE_CHECK(preupload(all.subspan(at, std::min(kMaxPreupload, all.size() - at))));
  }
  if (head_.empty()) {
    FERRULE_TRY(const auto info, repository_.info(target_));
    head_ = text_member(info, "sha");
  }
  return {};
}

Result<void> Push::make_what_is_missing(const Error& missing) {
  if (!is(missing, Failure::kNoRevision)) {
    if (created_) return missing;
    FERRULE_CHECK(check_card());
    FERRULE_TRY(const bool made, repository_.create(options_.privacy != Privacy::kDefault));
    created_ = true;
    if (!made) FERRULE_CHECK(check_private());
    if (revision_ == "main") return {};
  }
  if (revision_.rfind("refs/", 0) == 0) return missing;
  return repository_.create_branch(revision_);
}

/// Asks the Hub what it has, and creates the repository or branch if it is missing.
Result<void> Push::look() {
  // Only the Hub knows the full id of a repository without a namespace; create() returns it.
  std::optional<Error> missing;
  if (repository_.id().find('/') == std::string::npos) {
    FERRULE_CHECK(check_card());
    FERRULE_TRY(const bool made, repository_.create(options_.privacy != Privacy::kDefault));
    created_ = true;
    if (!made) {
      FERRULE_CHECK(check_private());
    } else if (revision_ != "main") {
      FERRULE_CHECK(repository_.create_branch(revision_));
    }
  } else if (auto checked = check_private(); !checked) {
    if (!is(checked.error(), Failure::kNoRepository)) return checked;
    missing = std::move(checked).error();
  }
  for (int tried = 0;; ++tried) {
    if (missing) FERRULE_CHECK(make_what_is_missing(*missing));
    auto looked = preupload();
    if (looked) return looked;
    missing = std::move(looked).error();
    const bool absent = is(*missing, Failure::kNoRepository) ||
                        is(*missing, Failure::kNoRevision) || is(*missing, Failure::kNoEntry) ||
                        (is(*missing, Failure::kAuthentication) && !created_ &&
                         !session_.settings.token.empty() && missing->http_status == 401);
    if (!absent || tried >= 2) return std::move(*missing);
  }
}

/// Hashes the large files, and those that the Hub has another version of.
Result<void> Push::digest() {
  std::vector<DigestJob> jobs;
  std::vector<PushFile*> waiting;
  for (auto& file : files_) {
    const bool wanted =
        !file.ignored && file.digest().empty() && (file.large || !file.remote.empty());
    if (!wanted) continue;
    jobs.push_back({file.file, file.large ? Digest::kSha256 : Digest::kGitBlob});
    waiting.push_back(&file);
  }
  FERRULE_CHECK(digest_files(jobs, session_.memo));
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    (waiting[i]->large ? waiting[i]->sha256 : waiting[i]->git) = std::move(jobs[i].sum);
  }
  return {};
}

std::vector<const PushFile*> Push::changed() const {
  std::vector<const PushFile*> out;
  for (const auto& file : files_) {
    if (!file.ignored && (file.remote.empty() || file.remote != file.digest()))
      out.push_back(&file);
  }
  return out;
}

Result<void> Push::check_card() {
  if (std::exchange(card_checked_, true)) return {};
  for (const auto& file : files_) {
    if (file.path != kCardFile) continue;
    FERRULE_TRY(const auto text, read_text_file(file.file, format::kMaxCardBytes));
    FERRULE_CHECK(repository_.validate_card(text, options_.watcher));
  }
  return {};
}

Result<void> Push::upload(std::span<const PushFile* const> files) {
  std::vector<const PushFile*> large;
  Progress progress;
  for (const auto* file : files) {
    if (!file->large) continue;
    large.push_back(file);
    progress.bytes_total += file->size;
    ++progress.files_total;
  }
  Meter meter(options_.watcher, progress);
  // Two paths with one content are one object.
  std::vector<const PushFile*> objects = large;
  std::sort(objects.begin(), objects.end(),
            [](const auto* a, const auto* b) { return a->sha256 < b->sha256; });
  objects.erase(std::unique(objects.begin(), objects.end(),
                            [](const auto* a, const auto* b) { return a->sha256 == b->sha256; }),
                objects.end());
  LfsUploader uploader(repository_, session_.lanes);
  return uploader.upload(objects, options_.create_pr ? std::string() : revision_, meter);
}

std::string Push::summary() const {
  return options_.commit_message.empty() ? "Upload adapter" : options_.commit_message;
}

/// True if the commit was made; false if the Hub must be asked what it has.
Result<bool> Push::send_commit(std::span<const PushFile* const> files) {
  CommitBody body({summary(), options_.commit_description}, head_, files);
  auto request = json_post(repository_.api("/commit/" + percent_encode(target_, false)),
                           "committing to " + repository_.id(), body);
  request.headers = {{"Content-Type", "application/x-ndjson"}};
  request.repeat = Repeat::kUnsafe;
  request.silence = session_.settings.commit_timeout;
  const auto response = session_.http.send(request);
  if (!response) {
    if (!is_ambiguous(response.error())) return response.error();
    return false;
  }
  if (response->ok()) {
    const auto json = parse_json(response->text);
    const auto oid = json ? text_member(*json, "commitOid") : std::string();
    if (!is_commit(oid)) return false;
    head_ = oid;
    commit_url_ = at_endpoint(text_member(*json, "commitUrl"), session_.settings.endpoint);
    return true;
  }
  auto error = http_failure(*response, request.what);
  if (response->status == 412 || is_ambiguous(error)) return false;
  if (response->status == 400) {
    auto refused = fail(Failure::kUploadRefused, error.message);
    refused.http_status = error.http_status;
    refused.request_id = error.request_id;
    return refused;
  }
  return error;
}

/// Makes one commit or none (HB-16): each try names its parent, and after a lost reply the Hub is
/// asked what it has before anything is sent again.
Result<void> Push::commit() {
  for (int tried = 1;; ++tried) {
    const auto files = changed();
    if (files.empty()) return {};
    for (const auto* file : files) FERRULE_CHECK(check_unchanged(*file));
    FERRULE_TRY(const bool committed, send_commit(files));
    if (committed) return {};
    if (tried >= kCommitTries) {
      return fail(Failure::kConflict, "committing to " + repository_.id() +
                                          ": the commit could not be confirmed; run the "
                                          "same command again");
    }
    FERRULE_CHECK(session_.http.pause(session_.settings.first_pause * (1 << tried)));
    FERRULE_CHECK(preupload());
    FERRULE_CHECK(digest());
  }
}

Result<PushReport> Push::report(bool committed) {
  remember(files_, session_.memo);
  PushReport out;
  out.repo = repository_.id();
  out.revision = target_;
  out.commit = head_;
  out.url = commit_url_.empty() ? repository_.page("/commit/" + head_) : commit_url_;
  if (pull_request_) out.pr_url = pull_request_->url;
  out.uploaded = std::move(uploaded_);
  for (const auto& file : files_) {
    out.selected.push_back(file.path);
    const bool sent = std::binary_search(out.uploaded.begin(), out.uploaded.end(), file.path);
    if (!file.ignored && !(committed && sent)) out.unchanged.push_back(file.path);
  }
  return out;
}

Result<PushReport> Push::run(std::vector<PushFile> files) {
  files_ = std::move(files);
  FERRULE_CHECK(look());
  FERRULE_CHECK(digest());
  const auto first = changed();
  if (first.empty()) return report(false);
  const bool has_card = std::any_of(first.begin(), first.end(),
                                    [](const auto* file) { return file->path == kCardFile; });
  if (has_card) FERRULE_CHECK(check_card());
  for (const auto* file : first) uploaded_.push_back(file->path);
  FERRULE_CHECK(upload(first));
  if (options_.create_pr) {
    FERRULE_TRY(pull_request_,
                repository_.open_pull_request(summary(), options_.commit_description));
    target_ = pull_request_->revision;
    FERRULE_CHECK(preupload());
    FERRULE_CHECK(digest());
  }
  FERRULE_CHECK(commit());
  if (pull_request_) repository_.publish(*pull_request_);
  return report(true);
}

Result<void> check_options(const std::string& repo_id, const PushOptions& options) {
  FERRULE_CHECK(check_repo_id(repo_id));
  if (!options.revision.empty()) FERRULE_CHECK(check_revision(options.revision));
  if (options.create_pr && !options.revision.empty() && options.revision != "main") {
    return fail(Failure::kUsage, "a pull request goes to main: no revision can be given with it");
  }
  return {};
}

}  // namespace

Result<PushReport> push_to_repository(Session& session, const std::filesystem::path& directory,
                                      const std::string& repo_id, const PushOptions& options) {
  FERRULE_CHECK(check_options(repo_id, options));
  FERRULE_CHECK(verify_for_push(directory, options));
  FERRULE_TRY(auto listing, list_push_files(directory, options));
  if (options.dry_run) return dry_report(repo_id, std::move(listing));
  if (session.settings.offline) {
    return fail(Failure::kOffline, "offline: nothing can be pushed to " + repo_id);
  }
  auto heard = options;
  heard.watcher = one_at_a_time(options.watcher);
  session.http.watch(heard.watcher);
  take_digests(options.written, listing.files);
  FERRULE_TRY(auto report, Push(session, repo_id, heard).run(std::move(listing.files)));
  report.left_behind = std::move(listing.left_behind);
  return report;
}

}  // namespace ferrule::hub
