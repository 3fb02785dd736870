// SPDX-License-Identifier: Apache-2.0
#include "hub/files/names.hpp"

#include <algorithm>
#include <array>

#include "base/utf8.hpp"
#include "ferrule/text.hpp"
#include "hub/transport/failure.hpp"

namespace ferrule::hub {
namespace {

constexpr std::size_t kMaxNameLength = 96;
constexpr std::size_t kMaxPathBytes = 1024;
constexpr std::size_t kMaxSegmentBytes = 255;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_id_part(std::string_view part) {
  return !part.empty() && part.size() <= kMaxNameLength && is_word(part.front()) &&
         is_word(part.back()) && part.find("--") == std::string_view::npos &&
         part.find("..") == std::string_view::npos &&
         std::all_of(part.begin(), part.end(),
                     [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

bool is_plain(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 32 || byte == 127 || c == '\\';
  });
}

/// Whether `judge` returns true for every piece between slashes.
template <typename Judge>
bool all_segments(std::string_view text, Judge judge) {
  for (;;) {
    const auto slash = text.find('/');
    if (!judge(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

bool is_plain_segment(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." &&
         segment.size() <= kMaxSegmentBytes;
}

}  // namespace

Result<void> check_repo_id(std::string_view id) {
  const auto slash = id.find('/');
  const auto name = slash == std::string_view::npos ? id : id.substr(slash + 1);
  const bool good = (slash == std::string_view::npos || is_id_part(id.substr(0, slash))) &&
                    is_id_part(name) && !name.ends_with(".git");
  if (good) return {};
  return fail(Failure::kUsage,
              "expected a repository's id, `name` or `namespace/name`: letters, digits, '-', '_' "
              "and '.', no '--' or '..', at most 96 characters; found " +
                  quote(id));
}

Result<void> check_revision(std::string_view revision) {
  const bool good = revision.size() <= kMaxSegmentBytes && is_plain(revision) &&
                    all_segments(revision, is_plain_segment) && revision.front() != '-' &&
                    revision.find_first_of(" ~^:?*[") == std::string_view::npos &&
                    revision.find("..") == std::string_view::npos;
  if (good) return {};
  return fail(Failure::kUsage, "expected a branch, tag or commit, found " + quote(revision));
}

bool is_safe_path(std::string_view path) noexcept {
  if (path.empty() || path.size() > kMaxPathBytes || !is_plain(path)) return false;
  if (!base::is_utf8(path)) return false;
  if (path.size() > 1 && path[1] == ':') return false;  // A drive.
  return all_segments(path, [](std::string_view segment) {
    return is_plain_segment(segment) && segment != ".git";
  });
}

bool is_hex(std::string_view text, std::size_t digits) noexcept {
  return text.size() == digits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_commit(std::string_view text) noexcept { return is_hex(text, 40); }

bool is_left_out(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 6> kNames = {".git",        ".cache", ".DS_Store",
                                                      "__pycache__", ".svn",   ".hg"};
  constexpr std::array<std::string_view, 8> kEndings = {".lock", ".tmp", ".temp",    ".incomplete",
                                                        ".part", ".swp", ".partial", "~"};
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
  if (name.rfind(".ferrule-", 0) == 0 || name.rfind(".~lock", 0) == 0) return true;
  if (name.rfind(".nfs", 0) == 0) return true;
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view end) { return name.ends_with(end); });
}

}  // namespace ferrule::hub
