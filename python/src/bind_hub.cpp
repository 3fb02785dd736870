// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/hub.hpp"
#include "ferrule/text.hpp"
#include "hub_call.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

hub::Settings settings_of(nb::handle token) {
  auto settings = hub::Settings::from_environment();
  if (token.is_none()) return settings;
  if (!PyBool_Check(token.ptr())) {
    settings.token = str_of(token, "token");
  } else if (token.is(nb::handle(Py_False))) {
    settings.token.clear();
  } else if (settings.token.empty()) {
    raise(Error{.code = ErrorCode::kIo,
                .rule = "HB-4",
                .message = "token=True, but there is none: set HF_TOKEN, or run `hf auth login`"});
  }
  return settings;
}

/// None becomes an empty text.
std::string text_or_empty(nb::handle value, std::string_view argument) {
  return value.is_none() ? std::string() : str_of(value, argument);
}

/// Waits for saves into that path that are still being written.
void wait_for_saves(nb::handle path) {
  nb::module_::import_("ferrule._pending").attr("wait_for")(path);
}

hub::PushReport push(nb::handle directory, nb::handle repo_id, nb::handle revision,
                     std::optional<bool> make_private, bool create_pr, nb::handle commit_message,
                     nb::handle commit_description, nb::handle token, bool allow_public,
                     nb::handle progress, nb::handle include, nb::handle exclude, bool all,
                     bool dry_run) {
  const auto folder = path_of(directory, "directory");
  const auto destination = str_of(repo_id, "repo_id");
  HubCall call(progress);
  hub::PushOptions options;
  options.revision = text_or_empty(revision, "revision");
  if (make_private.value_or(false)) {
    options.privacy = allow_public ? hub::Privacy::kPrivateIfNew : hub::Privacy::kPrivate;
  }
  options.create_pr = create_pr;
  options.commit_message = text_or_empty(commit_message, "commit_message");
  options.commit_description = text_or_empty(commit_description, "commit_description");
  if (!include.is_none()) options.include = strs_of(include, "include");
  if (!exclude.is_none()) options.exclude = strs_of(exclude, "exclude");
  options.all = all;
  options.dry_run = dry_run;
  options.watcher = call.watcher();
  const auto settings = settings_of(token);
  wait_for_saves(directory);
  return call.run([&] { return hub::push(folder, destination, options, settings); });
}

hub::PullReport pull(nb::handle repo_id, nb::handle revision, nb::handle cache_dir,
                     nb::handle output, nb::handle files, bool offline, nb::handle token,
                     nb::handle progress) {
  const auto source = str_of(repo_id, "repo_id");
  HubCall call(progress);
  hub::PullOptions options;
  options.revision = text_or_empty(revision, "revision");
  if (!cache_dir.is_none()) options.cache = path_of(cache_dir, "cache_dir");
  if (!files.is_none()) options.files = strs_of(files, "files");
  options.offline = offline;
  options.watcher = call.watcher();
  const auto settings = settings_of(token);
  if (!output.is_none()) {
    options.output = path_of(output, "output");
    wait_for_saves(output);
  }
  return call.run([&] { return hub::pull(source, options, settings); });
}

nb::list str_list(const std::vector<std::string>& names) {
  nb::list list;
  for (const auto& name : names) list.append(to_str(name));
  return list;
}

nb::list left_behind_of(const hub::PushReport& report) {
  nb::list list;
  for (const auto& one : report.left_behind) {
    nb::dict entry;
    entry["path"] = to_str(one.path);
    entry["why"] = to_str(one.why);
    list.append(std::move(entry));
  }
  return list;
}

constexpr std::array<const char*, 10> kPushFields = {
    "repo",     "revision",  "commit",  "url",      "pr_url",
    "uploaded", "unchanged", "dry_run", "selected", "left_behind"};
constexpr std::array<const char*, 5> kPullFields = {"repo", "revision", "commit", "path", "files"};

/// Makes the report a mapping too, so that dict(report) has the fields of the command's --json.
template <typename Class, std::size_t kCount>
void add_mapping(Class& report, const std::array<const char*, kCount>& fields) {
  report
      .def(
          "keys",
          [&fields](nb::handle) {
            nb::list list;
            for (const auto* field : fields) list.append(field);
            return list;
          },
          nb::sig("def keys(self) -> list[str]"), "The names of its fields.")
      .def(
          "__getitem__",
          [&fields](nb::handle self, nb::handle key) -> nb::object {
            for (const auto* field : fields) {
              if (nb::str(field).equal(key)) return self.attr(field);
            }
            PyErr_SetObject(PyExc_KeyError, key.ptr());
            throw nb::python_error();
          },
          "key"_a, nb::sig("def __getitem__(self, key: str) -> typing.Any"))
      .def(
          "to_dict",
          [&fields](nb::handle self) {
            nb::dict dict;
            dict["version"] = 1;
            for (const auto* field : fields) dict[field] = self.attr(field);
            return dict;
          },
          nb::sig("def to_dict(self) -> dict[str, typing.Any]"),
          "The document of the command's --json.");
}

void bind_transfer_reports(nb::module_& module) {
  using hub::PullReport;
  using hub::PushReport;
  auto push =
      nb::class_<PushReport>(
          module, "PushReport",
          "What a push did. dict(report) has the fields of `ferrule push --json`.")
          .def("__init__", no_constructor<PushReport>("ferrule.push() makes it"))
          .def_prop_ro(
              "repo", [](const PushReport& self) { return to_str(self.repo); },
              nb::sig("def repo(self) -> str"), "The repository with its namespace.")
          .def_prop_ro(
              "revision", [](const PushReport& self) { return to_str(self.revision); },
              nb::sig("def revision(self) -> str"), "The branch, or \"refs/pr/N\".")
          .def_prop_ro(
              "commit", [](const PushReport& self) { return to_str(self.commit); },
              nb::sig("def commit(self) -> str"),
              "The head after the push: the new commit, or the one that already had all files.")
          .def_prop_ro(
              "url", [](const PushReport& self) { return to_str(self.url); },
              nb::sig("def url(self) -> str"), "URL of that commit.")
          .def_prop_ro(
              "pr_url",
              [](const PushReport& self) -> nb::object {
                return self.pr_url.empty() ? nb::none() : nb::object(to_str(self.pr_url));
              },
              nb::sig("def pr_url(self) -> str | None"),
              "URL of the pull request, if one was opened.")
          .def_prop_ro(
              "uploaded", [](const PushReport& self) { return str_list(self.uploaded); },
              nb::sig("def uploaded(self) -> list[str]"),
              "Paths in the repository that were uploaded.")
          .def_prop_ro(
              "unchanged", [](const PushReport& self) { return str_list(self.unchanged); },
              nb::sig("def unchanged(self) -> list[str]"), "Paths that the Hub already had.")
          .def_prop_ro(
              "dry_run", [](const PushReport& self) { return self.dry_run; },
              "True if nothing was sent because dry_run was given.")
          .def_prop_ro(
              "selected", [](const PushReport& self) { return str_list(self.selected); },
              nb::sig("def selected(self) -> list[str]"),
              "Every path that was chosen; of a dry run what would be sent.")
          .def_prop_ro(
              "left_behind", [](const PushReport& self) { return left_behind_of(self); },
              nb::sig("def left_behind(self) -> list[dict[str, str]]"),
              "What was not sent: path (a folder ends with a slash) and why.")
          .def("__repr__", [](const PushReport& self) {
            return to_str("<ferrule.PushReport " + quote(self.repo) + " " + self.commit + ", " +
                          std::to_string(self.uploaded.size()) + " uploaded, " +
                          std::to_string(self.unchanged.size()) + " unchanged>");
          });
  add_mapping(push, kPushFields);
  auto pull =
      nb::class_<PullReport>(
          module, "PullReport",
          "What a pull fetched. dict(report) has the fields of `ferrule pull --json`.")
          .def("__init__", no_constructor<PullReport>("ferrule.pull() makes it"))
          .def_prop_ro(
              "repo", [](const PullReport& self) { return to_str(self.repo); },
              nb::sig("def repo(self) -> str"))
          .def_prop_ro(
              "revision", [](const PullReport& self) { return to_str(self.revision); },
              nb::sig("def revision(self) -> str"), "The revision that was asked for.")
          .def_prop_ro(
              "commit", [](const PullReport& self) { return to_str(self.commit); },
              nb::sig("def commit(self) -> str"),
              "The commit that the revision was when it was pulled.")
          .def_prop_ro(
              "path", [](const PullReport& self) { return to_path_str(self.path); },
              nb::sig("def path(self) -> str"), "The snapshot in the cache, or the output folder.")
          .def_prop_ro(
              "files", [](const PullReport& self) { return str_list(self.files); },
              nb::sig("def files(self) -> list[str]"), "Relative to it, sorted.")
          .def("__repr__", [](const PullReport& self) {
            return to_str("<ferrule.PullReport " + quote(self.repo) + " " + self.commit + ", " +
                          std::to_string(self.files.size()) + " files>");
          });
  add_mapping(pull, kPullFields);
}

}  // namespace

void bind_hub(nb::module_& module) {
  nb::class_<hub::Progress>(module, "Progress", "The progress of a push or pull.")
      .def("__init__", no_constructor<hub::Progress>("a push or pull makes it"))
      .def_ro("bytes_done", &hub::Progress::bytes_done)
      .def_ro("bytes_total", &hub::Progress::bytes_total)
      .def_ro("files_done", &hub::Progress::files_done)
      .def_ro("files_total", &hub::Progress::files_total)
      .def("__repr__", [](const hub::Progress& self) {
        return to_str("<ferrule.Progress " + std::to_string(self.bytes_done) + " of " +
                      std::to_string(self.bytes_total) + " bytes, " +
                      std::to_string(self.files_done) + " of " + std::to_string(self.files_total) +
                      " files>");
      });
  bind_transfer_reports(module);
  module.def(
      "push", &push, "directory"_a.none(), "repo_id"_a.none(), nb::kw_only(),
      "revision"_a = nb::none(), "private"_a = nb::none(), "create_pr"_a = false,
      "commit_message"_a = nb::none(), "commit_description"_a = nb::none(), "token"_a = nb::none(),
      "allow_public"_a = false, "progress"_a = nb::none(), "include"_a = nb::none(),
      "exclude"_a = nb::none(), "all"_a = false, "dry_run"_a = false,
      nb::sig(
          "def push(directory: str | os.PathLike[str], repo_id: str, *, revision: str | None = "
          "None, private: bool | None = None, create_pr: bool = False, commit_message: str | "
          "None = None, commit_description: str | None = None, token: str | bool | None = "
          "None, allow_public: bool = False, progress: collections.abc.Callable[[Progress], "
          "object] | None = None, include: collections.abc.Iterable[str] | None = None, exclude: "
          "collections.abc.Iterable[str] | None = None, all: bool = False, dry_run: bool = "
          "False) -> PushReport"),
      "Verifies an adapter's directory and sends it to the Hugging Face Hub (or to "
      "\"s3://bucket/prefix\"), as one commit or none.\n\nThe adapters in the directory and below "
      "it are sent with their cards, "
      "tokenizers and other small configuration; not hidden files (an include that writes out the "
      "dot sends one) and not training state (all=True sends it). include and exclude are "
      "patterns (* and ?). The report's left_behind lists what stays; dry_run=True makes no "
      "request.\n\nFiles that the Hub already has are not "
      "sent; the repository and the branch are created if they do not exist. private=True for a "
      "public repository is refused unless allow_public. token: None takes that of the environment "
      "or of `hf auth login`, False none. Pending saves there are waited for. The GIL is released; "
      "progress is called from this thread, and its exception, or Ctrl-C, ends the push: the same "
      "call again sends what is missing.\n\nRaises CorruptError for an adapter that is not good, "
      "before any request, NotFoundError, NetworkError (a ConnectionError), PermissionDeniedError, "
      "IoError; the rules are HB-* (docs/rules/HB.md).");
  module.def(
      "pull", &pull, "repo_id"_a.none(), nb::kw_only(), "revision"_a = nb::none(),
      "cache_dir"_a = nb::none(), "output"_a = nb::none(), "files"_a = nb::none(),
      "offline"_a = false, "token"_a = nb::none(), "progress"_a = nb::none(),
      nb::sig(
          "def pull(repo_id: str, *, revision: str | None = None, cache_dir: str | "
          "os.PathLike[str] | None = None, output: str | os.PathLike[str] | None = None, files: "
          "collections.abc.Iterable[str] | None = None, offline: bool = False, token: str | "
          "bool | None = None, progress: collections.abc.Callable[[Progress], object] | None = "
          "None) -> PullReport"),
      "Fetches a repository of the Hugging Face Hub (or \"s3://bucket/prefix\", or the https:// "
      "address of a folder) at a branch, tag or commit.\n\nThe files stay in the cache that "
      "huggingface_hub uses too, or are copied into `output`, together or not at all. Each is "
      "checked against the hash that the Hub lists, cached ones too. offline=True makes no "
      "request. For token, progress and errors see push.");
}

}  // namespace ferrule::python
