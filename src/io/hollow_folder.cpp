// SPDX-License-Identifier: Apache-2.0
#include "io/hollow_folder.hpp"

#include <cstdlib>

#include "base/try.hpp"
#include "io/input_file.hpp"
#include "io/partial_file.hpp"
#include "io/remove_tree.hpp"
#include "io/syscalls.hpp"
#include "io/system_error.hpp"

namespace ferrule::io {
namespace {

constexpr std::uint64_t kMaxCopy = 64U << 20U;
constexpr int kMaxTries = 100;

}  // namespace

Result<HollowFolder> HollowFolder::make() {
  const char* named = std::getenv("TMPDIR");
  const std::filesystem::path base = named != nullptr && *named != '\0' ? named : "/tmp";
  for (int tried = 0;; ++tried) {
    const auto path = base / scratch_name();
    if (sys().mkdirat(AT_FDCWD, path.c_str(), 0700) == 0) return HollowFolder(path);
    if (errno != EEXIST || tried == kMaxTries) {
      return system_error(errno, "cannot make a temporary directory", base);
    }
  }
}

HollowFolder::~HollowFolder() {
  if (!path_.empty()) (void)discard_tree(path_).has_value();
}

Result<void> HollowFolder::write(const std::string& name, std::string_view head,
                                 std::uint64_t size) const {
  FERRULE_TRY(const auto folder, Folder::make(path_));
  FERRULE_TRY(auto file, PartialFile::open(folder, name));
  FERRULE_CHECK(file.append(std::as_bytes(std::span(head))));
  if (sys().ftruncate(file.fd(), static_cast<off_t>(size)) == 0) return {};
  return system_error(errno, "cannot extend it", path_ / name);
}

Result<void> HollowFolder::copy(const std::filesystem::path& from, const std::string& name) const {
  FERRULE_TRY(const auto input, InputFile::open(from));
  FERRULE_TRY(const auto text, input.read_text(kMaxCopy));
  return write(name, text, text.size());
}

}  // namespace ferrule::io
