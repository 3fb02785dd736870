// SPDX-License-Identifier: Apache-2.0
#include "merge/other_files.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "adapter/carry_files.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "io/walk.hpp"

namespace ferrule::merging {
namespace {

constexpr std::uint64_t kSmallFile = std::uint64_t{32} << 20;
constexpr std::uint64_t kPiece = std::uint64_t{4} << 20;

/// Whole models that are published in a folder beside their own files: Meta's original/, onnx/.
/// Files of safetensors and torch in folders are parts of their own (sentence-transformers).
bool is_whole_model(std::string_view name) {
  constexpr std::array<std::string_view, 6> kEnds = {".onnx", ".onnx_data", ".gguf",
                                                     ".h5",   ".msgpack",   ".ot"};
  if (name.starts_with("consolidated.")) {
    return name.ends_with(".pth") || name.ends_with(".safetensors");
  }
  return std::any_of(kEnds.begin(), kEnds.end(),
                     [&](std::string_view end) { return name.ends_with(end); });
}

}  // namespace

Result<bool> OtherFiles::bring(const io::DirectoryReader& from, const std::string& name,
                               std::string_view as, bool weights) {
  FERRULE_TRY(const auto file, from.open_file(name));
  if (!file) {
    return base::at(base::not_found("MG-7", "the file went away while the base was merged"),
                    from.path() / name);
  }
  if (links_ && (weights || file->size() > kSmallFile)) {
    FERRULE_TRY(const bool linked, transaction_.link(from.fd(), name, as));
    if (linked) return true;
  }
  FERRULE_TRY(auto* const out, transaction_.create(as));
  buffer_.resize(static_cast<std::size_t>(kPiece));
  for (std::uint64_t at = 0; at < file->size(); at += kPiece) {
    const auto piece = std::span(buffer_).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, file->size() - at)));
    FERRULE_CHECK(file->read_at(at, piece));
    FERRULE_CHECK(out->write(std::span<const std::byte>(piece)));
  }
  bytes_copied_ += file->size();
  return false;
}

Result<void> OtherFiles::bring_folders(const std::filesystem::path& base) {
  FERRULE_TRY(auto listing, io::list_by_kind(base));
  std::sort(listing.directories.begin(), listing.directories.end());
  for (const auto& name : listing.directories) {
    if (!name.starts_with('.')) FERRULE_CHECK(bring_folder(base / name, name, 1));
  }
  return {};
}

Result<void> OtherFiles::bring_folder(const std::filesystem::path& directory,
                                      const std::string& inside, int depth) {
  FERRULE_TRY(const auto listing, adapter::list_carried(directory, depth));
  FERRULE_TRY(const auto reader, io::DirectoryReader::open(directory));
  for (const auto& name : listing.files) {
    const auto as = inside + "/" + name;
    if (is_whole_model(name)) {
      left_out_.push_back(as);
      continue;
    }
    FERRULE_CHECK(bring(reader, name, as, false));
    brought_.push_back(as);
  }
  for (const auto& name : listing.directories) {
    FERRULE_CHECK(bring_folder(directory / name, inside + "/" + name, depth + 1));
  }
  return {};
}

}  // namespace ferrule::merging
