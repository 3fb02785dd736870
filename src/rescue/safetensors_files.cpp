// SPDX-License-Identifier: Apache-2.0
#include "rescue/safetensors_files.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/json.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "rescue/torch_files.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;

}  // namespace

Result<OpenedSafetensors> open_safetensors(Sources& sources, const fs::path& path) {
  OpenedSafetensors opened;
  FERRULE_TRY(opened.source, sources.open(path));
  FERRULE_TRY(const auto file, SafetensorsFile::open(path));
  opened.metadata = file.metadata();
  // The tensors cover the data from its start to the end of the file (ST-7).
  for (const auto& [name, view] : file.tensors()) opened.data_bytes += view.bytes().size();
  opened.data_start = file.file_bytes() - opened.data_bytes;
  std::uint64_t at = opened.data_start;
  for (const auto& [name, view] : file.tensors()) {
    const auto shape = view.shape();
    FoundTensor tensor{.name = std::string(name),
                       .dtype = view.dtype(),
                       .stored = view.dtype(),
                       .shape = {shape.begin(), shape.end()}};
    if (!view.bytes().empty()) {
      tensor.pieces.push_back({.source = opened.source,
                               .offsets = std::vector<std::uint64_t>(shape.size(), 0),
                               .sizes = tensor.shape,
                               .is_range = false,
                               .start = at});
    }
    at += view.bytes().size();
    opened.tensors.push_back(std::move(tensor));
  }
  return opened;
}

Result<Found> find_safetensors(const std::shared_ptr<Sources>& sources, const fs::path& path) {
  FERRULE_TRY(auto opened, open_safetensors(*sources, path));
  return Found{.tensors = std::move(opened.tensors), .kind = "a safetensors file", .folder = path};
}

Result<Found> find_indexed(const std::shared_ptr<Sources>& sources, const fs::path& folder,
                           const std::string& index) {
  FERRULE_TRY(const auto text, read_text_file(folder / index));
  auto document = Json::parse(text);
  const auto* map = document ? document->find("weight_map") : nullptr;
  const auto* members = map != nullptr ? map->if_object() : nullptr;
  if (members == nullptr) {
    return base::at(base::corrupt("RS-2", "it has no weight_map: not the index of a model"),
                    (folder / index).string());
  }
  std::map<std::string, std::set<std::string>> files;
  for (const auto& [name, file] : *members) {
    const auto* plain = file.if_string();
    if (plain == nullptr || plain->empty() || plain->find('/') != std::string::npos) {
      return base::at(base::corrupt("RS-2", quote(name) + " is in no plain file"),
                      (folder / index).string());
    }
    files[*plain].insert(name);
  }
  Found found{.tensors = {}, .kind = "a model in several files", .folder = folder};
  if (files.size() > 1) {
    found.note_unproved(
        "nothing in the files that the index lists says their step: "
        "that all are of one step and run is not proved");
  }
  for (const auto& [file, names] : files) {
    const bool torch = !file.ends_with(".safetensors");
    FERRULE_TRY(auto part, torch ? find_torch_file(sources, folder / file)
                                 : find_safetensors(sources, folder / file));
    std::size_t present = 0;
    for (auto& tensor : part.tensors) {
      if (!names.contains(tensor.name)) continue;
      ++present;
      found.tensors.push_back(std::move(tensor));
    }
    if (present == names.size()) continue;
    return base::at(base::corrupt("RS-3", "it has " + std::to_string(present) + " of the " +
                                              std::to_string(names.size()) + " tensors that " +
                                              quote(index) + " says it has"),
                    (folder / file).string());
  }
  return found;
}

}  // namespace ferrule::rescues
