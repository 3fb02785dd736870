// SPDX-License-Identifier: Apache-2.0
#include "adapter/folder_memo.hpp"

#include <algorithm>
#include <bit>
#include <functional>
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
// A file of which so few are out of date is left as it is.
constexpr std::size_t kFew = 128;

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

bool is_still(int at, const std::string& name, const io::FileIdentity& expected) {
  struct stat info {};
  return io::sys().fstatat(at, name.c_str(), &info, 0) == 0 && io::identity_of(info) == expected;
}

/// The directory `name` of `at` and both of its files are as they were.
bool is_still(int at, std::string& name, const RememberedAdapter& known) {
  if (!is_still(at, name, known.directory)) return false;
  const auto length = name.size();
  (name += '/') += kConfigFile;
  if (!is_still(at, name, known.config)) return false;
  name.resize(length + 1);
  return is_still(at, name += kSafetensorsFile, known.weights);
}

/// True if any later change gives the file another time of change.
bool is_settled(const io::FileIdentity& file, std::int64_t now) {
  const bool coarse = file.changed_ns % 1'000'000'000 == 0;
  return now - file.changed_ns >= (coarse ? kCoarseTick : kTick);
}

}  // namespace

FolderMemo::FolderMemo(fs::path file, const fs::path& folder, const ReadLimits& limits,
                       unsigned threads)
    : file_(std::move(file)), prefix_(prefix_below(folder)), stamp_(stamp_of(limits)) {
  // Without a thread to spare it is loaded when it is first asked.
  const auto how =
      threads == 1 ? std::launch::deferred : std::launch::async | std::launch::deferred;
  if (is_on()) loaded_ = std::async(how, [this] { load(); }).share();
}

void FolderMemo::load() {
  auto text = read_text_file(file_, kMaxMemoBytes);
  if (!text) return;
  text_ = *std::move(text);
  auto content = decode_memo(text_, stamp_);
  if (!content) return;
  before_ = std::move(*content);
  is_unchanged_.resize(before_.adapters.size());
  index();
}

void FolderMemo::index() {
  const auto& adapters = before_.adapters;
  table_.resize(std::bit_ceil(2 * adapters.size() + 1));
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    auto at = std::hash<std::string_view>{}(adapters[i].path) & (table_.size() - 1);
    while (table_[at] != 0) at = (at + 1) & (table_.size() - 1);
    table_[at] = static_cast<std::uint32_t>(i + 1);
  }
}

std::optional<std::size_t> FolderMemo::place_of(std::string_view below) const {
  if (table_.empty()) return std::nullopt;
  auto at = std::hash<std::string_view>{}(below) & (table_.size() - 1);
  for (; table_[at] != 0; at = (at + 1) & (table_.size() - 1)) {
    if (before_.adapters[table_[at] - 1].path == below) return table_[at] - 1;
  }
  return std::nullopt;
}

std::string_view FolderMemo::below(std::string_view path) const {
  return path.starts_with(prefix_) ? path.substr(prefix_.size()) : std::string_view();
}

void FolderMemo::find(const io::Unlisted& directories,
                      std::span<std::optional<io::FileIdentity>> known) {
  loaded_.get();
  // The root is listed first, so that everything else is below it.
  std::string path(below(directories.prefix));
  std::string way(directories.way);
  const auto path_length = path.size();
  const auto way_length = way.size();
  const auto& adapters = before_.adapters;
  std::optional<std::size_t> place;
  for (std::size_t i = 0; i < known.size(); ++i) {
    path.resize(path_length);
    path += directories.names[i];
    // Directories are often made in the order of their names.
    const auto next = place ? *place + 1 : adapters.size();
    place = next < adapters.size() && adapters[next].path == path ? next : place_of(path);
    if (!place) continue;
    const auto& adapter = adapters[*place];
    way.resize(way_length);
    if (!is_still(directories.at, way += directories.names[i], adapter)) continue;
    is_unchanged_[*place] = 1;
    known[i] = adapter.directory;
  }
}

void FolderMemo::note(const fs::path& path, const io::Listing& listing, const ReadSummary& read) {
  // What is below a directory may change without it.
  if (read.shared == nullptr || !listing.directories.empty() || !listing.linked.empty()) return;
  const auto name = below(path.native());
  if (name.empty()) return;
  const auto now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(started_.time_since_epoch()).count();
  for (const auto* file : {&listing.identity, &read.config, &read.weights}) {
    if (!is_settled(*file, now)) return;
  }
  const std::lock_guard lock(mutex_);
  auto& noted = noted_.emplace_back();
  noted.path = texts_.emplace_back(name);
  if (read.base_model) noted.base_model = texts_.emplace_back(*read.base_model);
  noted.directory = listing.identity;
  noted.config = read.config;
  noted.weights = read.weights;
  noted.summary = read.shared;
}

std::vector<const RememberedAdapter*> FolderMemo::unchanged() const {
  std::vector<const RememberedAdapter*> adapters;
  if (!is_on()) return adapters;
  loaded_.get();
  adapters.reserve(before_.adapters.size());
  for (std::size_t i = 0; i < before_.adapters.size(); ++i) {
    if (is_unchanged_[i] != 0) adapters.push_back(&before_.adapters[i]);
  }
  return adapters;
}

Result<void> FolderMemo::save() {
  if (!is_on()) return {};
  const auto same = unchanged();
  const auto all_before = before_.adapters.size();
  const auto differences = noted_.size() + (all_before - same.size());
  if (all_before != 0 && differences <= all_before / kFew) return {};
  auto all = std::move(noted_);
  all.reserve(all.size() + same.size());
  for (const auto* adapter : same) all.push_back(*adapter);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return write_text_file(file_, encode_memo(all, stamp_), Durability::kFast);
}

}  // namespace ferrule::adapter
