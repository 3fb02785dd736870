// SPDX-License-Identifier: Apache-2.0
#include "adapter/folder_memo.hpp"

#include <algorithm>
#include <utility>

#include "base/try.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text_file.hpp"
#include "ferrule/version.hpp"
#include "io/syscalls.hpp"

namespace ferrule::adapter {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxMemoBytes = std::uint64_t{1} << 30;
// A file system's clock ticks every ten milliseconds at the slowest; some keep whole seconds.
constexpr std::int64_t kTick = 50'000'000;
constexpr std::int64_t kCoarseTick = 2'000'000'000;

std::string stamp_of(const ReadLimits& limits) {
  std::string stamp(version());
  for (const auto limit : {limits.header_bytes, limits.tensors, limits.text_bytes}) {
    stamp += " " + std::to_string(limit);
  }
  return stamp;
}

std::string prefix_below(const fs::path& folder) {
  auto prefix = folder.native();
  if (!prefix.empty() && prefix.back() != '/') prefix += '/';
  return prefix;
}

bool is_still(int at, const char* name, const io::FileIdentity& expected) {
  struct stat info {};
  return io::sys().fstatat(at, name, &info, 0) == 0 && io::identity_of(info) == expected;
}

/// True if any later change gives the file another time of change.
bool is_settled(const io::FileIdentity& file, std::int64_t now) {
  const bool coarse = file.changed_ns % 1'000'000'000 == 0;
  return now - file.changed_ns >= (coarse ? kCoarseTick : kTick);
}

}  // namespace

FolderMemo::FolderMemo(fs::path file, const fs::path& folder, const ReadLimits& limits)
    : file_(std::move(file)), prefix_(prefix_below(folder)), stamp_(stamp_of(limits)) {
  if (file_.empty()) return;
  const auto text = read_text_file(file_, kMaxMemoBytes);
  if (!text) return;
  auto content = decode_memo(*text, stamp_);
  if (!content) return;
  before_ = std::move(*content);
  places_.reserve(before_.size());
  for (std::size_t i = 0; i < before_.size(); ++i) places_.emplace(before_[i].first, i);
}

std::string_view FolderMemo::below(const fs::path& path) const {
  const std::string_view whole = path.native();
  return whole.starts_with(prefix_) ? whole.substr(prefix_.size()) : std::string_view();
}

std::optional<FolderMemo::Found> FolderMemo::find(int at, const char* name, const fs::path& path) {
  const auto place = places_.find(below(path));
  if (place == places_.end()) return std::nullopt;
  const auto& known = before_[place->second].second;
  std::string file(name);
  if (!is_still(at, file.c_str(), known.directory)) return std::nullopt;
  const auto length = file.size();
  (file += '/') += kConfigFile;
  if (!is_still(at, file.c_str(), known.config)) return std::nullopt;
  file.resize(length + 1);
  file += kSafetensorsFile;
  if (!is_still(at, file.c_str(), known.weights)) return std::nullopt;
  {
    const std::lock_guard lock(mutex_);
    unchanged_.push_back(place->second);
  }
  return Found{known.summary->in(path), known.directory};
}

void FolderMemo::note(const fs::path& path, const io::Listing& listing, const ReadSummary& read) {
  // What is below a directory may change without it.
  if (read.shared == nullptr || !listing.directories.empty() || !listing.linked.empty()) return;
  const auto name = below(path);
  if (name.empty()) return;
  const auto now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(started_.time_since_epoch()).count();
  for (const auto* file : {&listing.identity, &read.config, &read.weights}) {
    if (!is_settled(*file, now)) return;
  }
  const std::lock_guard lock(mutex_);
  noted_.emplace_back(name,
                      RememberedAdapter{listing.identity, read.config, read.weights, read.shared});
}

Result<void> FolderMemo::save() {
  if (!is_on()) return {};
  if (noted_.empty() && unchanged_.size() == before_.size() && !before_.empty()) return {};
  auto all = std::move(noted_);
  all.reserve(all.size() + unchanged_.size());
  for (const auto place : unchanged_) all.push_back(before_[place]);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return write_text_file(file_, encode_memo(all, stamp_), Durability::kFast);
}

}  // namespace ferrule::adapter
