// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/reference.hpp"

#include <string_view>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "hub/files/names.hpp"
#include "hub/transport/failure.hpp"

namespace ferrule::hub {
namespace {

constexpr std::string_view kScheme = "hf://";

}  // namespace

Result<Reference> Reference::parse(const std::string& text) {
  if (text.rfind(kScheme, 0) != 0) {
    return fail(Failure::kUsage,
                "expected hf://user/repo[@revision][/subfolder], found " + quote(text));
  }
  Reference out;
  std::string rest = text.substr(kScheme.size());
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

std::string Reference::text() const {
  std::string out = std::string(kScheme) + repo;
  if (!revision.empty()) {
    out += '@';
    const bool is_pull_request = revision.rfind("refs/pr/", 0) == 0;
    for (const char c : revision) {
      if (c == '/' && !is_pull_request) {
        out += "%2F";
      } else {
        out += c;
      }
    }
  }
  return folder.empty() ? out : out + "/" + folder;
}

}  // namespace ferrule::hub
