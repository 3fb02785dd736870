// SPDX-License-Identifier: Apache-2.0
#include "adapter/other_things.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "container/checkpoint_folder.hpp"
#include "container/container.hpp"
#include "ferrule/checkpoint.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "io/walk.hpp"
#include "peft/dialect.hpp"

namespace ferrule::adapter {
namespace {

bool has_adapter(const TensorSource& source) {
  const auto tensors = source.tensors();
  return std::any_of(tensors.begin(), tensors.end(),
                     [](const NamedTensor& tensor) { return peft::is_peft_key(tensor.name); });
}

std::string describe_tensors(const TensorSource& source) {
  if (const auto found = peft::dialect_of(source); found.dialect != nullptr) {
    return "it is " + peft::describe(found) + "; " + std::string(found.dialect->advice);
  }
  if (has_adapter(source)) {
    return "its tensors are an adapter's: with the config that belongs to them, "
           "`ferrule save STATE -o DIR --config adapter_config.json` makes an adapter of them";
  }
  return "its tensors are not an adapter's (a model's own weights?); `ferrule inspect` lists them";
}

constexpr int kLevelsBelow = 3;
constexpr std::size_t kMaxFolders = 1000;

/// Adapters in the folders below, as relative paths; what cannot be listed is left out.
std::vector<std::string> adapters_below(const std::filesystem::path& root) {
  std::vector<std::string> found;
  std::vector<std::filesystem::path> level = {{}};
  for (int depth = 0; depth < kLevelsBelow; ++depth) {
    std::vector<std::filesystem::path> next;
    for (const auto& folder : level) {
      const auto listing = io::list_by_kind(root / folder);
      if (!listing) continue;
      for (const auto& name : listing->directories) {
        if (next.size() < kMaxFolders && !name.starts_with('.')) next.push_back(folder / name);
      }
    }
    for (const auto& folder : next) {
      const auto listing = io::list_by_kind(root / folder);
      if (!listing) continue;
      const auto& files = listing->files;
      if (std::find(files.begin(), files.end(), kConfigFile) != files.end()) {
        found.push_back(folder.string());
      }
    }
    level = std::move(next);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string describe_below(const std::filesystem::path& root) {
  const auto found = adapters_below(root);
  if (found.empty()) return {};
  if (found.size() == 1) return "; the adapter is in " + quote(found.front());
  return "; " + std::to_string(found.size()) + " adapters are in folders below it, the first in " +
         quote(found.front());
}

}  // namespace

std::string describe_other_folder(const io::DirectoryReader& directory,
                                  const OpenOptions& options) {
  const auto names = directory.names();
  if (!names) return {};
  if (container::choose_files(*names).chosen.empty()) {
    const auto what = container::describe_folder(*names);
    return what.empty() ? describe_below(directory.path()) : "; " + what;
  }
  const auto tensors = Checkpoint::open(directory.path(), options);
  return tensors ? "; " + describe_tensors(*tensors) : "; " + tensors.error().message;
}

Error describe_other_file(const std::filesystem::path& path, const OpenOptions& options) {
  const auto refused = [&](ErrorCode code, const std::string& what) {
    return base::at(base::make_error(code, "AD-16",
                                     "an adapter is a directory with an adapter_config.json, and "
                                     "this is a file: " +
                                         what),
                    path.string());
  };
  const auto name = path.filename();
  if (name == kConfigFile || name == kSafetensorsFile || name == kBinFile) {
    return refused(ErrorCode::kUnsupported, "give the directory that it is in");
  }
  const auto file = io::InputFile::open(path);
  if (!file) return file.error();
  const auto kind = container::kind_of(*file);
  if (!kind) return kind.error();
  const auto tensors = Checkpoint::open(path, options);
  if (!tensors) return refused(ErrorCode::kUnsupported, tensors.error().message);
  return refused(ErrorCode::kUnsupported, describe_tensors(*tensors));
}

}  // namespace ferrule::adapter
