// SPDX-License-Identifier: Apache-2.0
// Opens whatever holds tensors at a path:
//
// 1. A directory is opened once, so that all files are of one generation (TX-11), and searched for
//    safetensors and then for torch files: `model.*`, its index, any index, `adapter_model.*`, all
//    others with the format's suffixes except those of a training state.
// 2. A file is opened by its content: an index (ST-20 to ST-24), or a container (ST-18).
// 3. Several files are joined. A name may be in two of them only with the same content (KY-1).
// Names
//    that one file dropped as shared, and no other has, are offered as aliases.
#include "ferrule/checkpoint.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/checkpoint_folder.hpp"
#include "container/container.hpp"
#include "container/sharded_index.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "format/name_index.hpp"
#include "io/transaction/directory_reader.hpp"

namespace ferrule {

struct Checkpoint::Rep {
  std::vector<std::unique_ptr<TensorSource>> sources;
  std::vector<std::filesystem::path> files;
  std::vector<std::filesystem::path> beside;
  std::vector<std::uint64_t> sizes;
  /// Of all sources; empty while there is only one.
  std::vector<NamedTensor> tensors;
  std::vector<TensorAlias> aliases;
  format::NameIndex index;

  Result<void> open_path(const std::filesystem::path& path, const OpenOptions& options);
  Result<void> open_file(const io::InputFile& file, const io::DirectoryReader* directory,
                         const OpenOptions& options);
  Result<void> open_index(const io::InputFile& file, const io::DirectoryReader* directory,
                          const OpenOptions& options);
  Result<void> open_directory(const io::DirectoryReader& directory, const OpenOptions& options);
  /// A trainer's gathered adapter_model.bin in place of the empty adapter_model.safetensors that
  /// save_pretrained put next to it on one rank.
  Result<void> replace_hollow(const io::DirectoryReader& directory, container::FolderChoice& choice,
                              const OpenOptions& options);
  static Result<void> skip_nothing(const io::DirectoryReader& directory,
                                   container::FolderChoice& choice);
  void add(const io::InputFile& file, std::unique_ptr<TensorSource> source);
  Result<void> join();
  void join_aliases();
};

namespace {

bool same(const TensorView& a, const TensorView& b) noexcept {
  const auto x = a.bytes();
  const auto y = b.bytes();
  return a.dtype() == b.dtype() &&
         std::equal(a.shape().begin(), a.shape().end(), b.shape().begin(), b.shape().end()) &&
         x.size() == y.size() &&
         (x.data() == y.data() || std::memcmp(x.data(), y.data(), x.size()) == 0);
}

}  // namespace

void Checkpoint::Rep::add(const io::InputFile& file, std::unique_ptr<TensorSource> source) {
  sources.push_back(std::move(source));
  files.push_back(file.path());
  sizes.push_back(file.size());
}

Result<void> Checkpoint::Rep::open_file(const io::InputFile& file,
                                        const io::DirectoryReader* directory,
                                        const OpenOptions& options) {
  FERRULE_TRY(const FileKind kind, container::kind_of(file));
  const bool json = kind == FileKind::kSafetensorsIndex || kind == FileKind::kJson;
  // A long "metadata" can keep the word that tells an index out of the first bytes.
  if (json && (kind == FileKind::kSafetensorsIndex || file.path().extension() == ".json")) {
    return open_index(file, directory, options);
  }
  FERRULE_TRY(auto source, container::open_container(file, kind, options));
  add(file, std::move(source));
  return {};
}

Result<void> Checkpoint::Rep::open_index(const io::InputFile& file,
                                         const io::DirectoryReader* directory,
                                         const OpenOptions& options) {
  const auto located = [&](Error error) {
    error.path = file.path().string();
    return error;
  };
  if (directory == nullptr) {
    const auto parent =
        file.path().has_parent_path() ? file.path().parent_path() : std::filesystem::path(".");
    FERRULE_TRY(const auto reader, io::DirectoryReader::open(parent));
    return open_index(file, &reader, options);
  }
  FERRULE_TRY(const std::string text, file.read_text(options.limits.text_bytes));
  auto parsed = container::parse_sharded_index(text);
  if (!parsed) return located(std::move(parsed).error());
  for (const auto& shard : parsed->shards) {
    FERRULE_TRY(const auto opened, directory->open_file(shard.file));
    if (!opened) {
      return located(base::not_found("ST-23", "shard " + quote(shard.file) + " with tensor " +
                                                  quote(shard.tensors.front()) + " is missing"));
    }
    FERRULE_TRY(const FileKind kind, container::kind_of(*opened));
    FERRULE_TRY(auto source, container::open_container(*opened, kind, options));
    if (auto held = container::check_shard(shard, *source); !held) {
      return located(std::move(held).error());
    }
    add(*opened, std::move(source));
  }
  return {};
}

Result<void> Checkpoint::Rep::open_directory(const io::DirectoryReader& directory,
                                             const OpenOptions& options) {
  FERRULE_TRY(const auto names, directory.names());
  auto choice = container::choose_files(names);
  if (choice.chosen.empty()) {
    const auto what = container::describe_folder(names);
    return base::at(base::not_found("the directory has no file of tensors (*.safetensors, "
                                    "*.safetensors.index.json, *.bin, *.pt)" +
                                    (what.empty() ? "" : "; " + what)),
                    directory.path());
  }
  FERRULE_CHECK(skip_nothing(directory, choice));
  for (const auto& name : choice.chosen) {
    FERRULE_TRY(const auto file, directory.open_file(name));
    if (!file) {
      return base::at(base::not_found("the file went away while its directory was read"),
                      directory.path() / name);
    }
    FERRULE_CHECK(open_file(*file, &directory, options));
  }
  FERRULE_CHECK(replace_hollow(directory, choice, options));
  for (const auto& name : choice.beside) beside.push_back(directory.path() / name);
  return {};
}

/// adapter_model.bin is chosen in place of an adapter_model.safetensors without a byte.
Result<void> Checkpoint::Rep::skip_nothing(const io::DirectoryReader& directory,
                                           container::FolderChoice& choice) {
  if (choice.chosen.size() != 1 || choice.chosen.front() != kSafetensorsFile) return {};
  const auto bin = std::find(choice.beside.begin(), choice.beside.end(), kBinFile);
  if (bin == choice.beside.end()) return {};
  FERRULE_TRY(const auto file, directory.open_file(kSafetensorsFile));
  if (file && file->size() == 0) std::swap(choice.chosen.front(), *bin);
  return {};
}

Result<void> Checkpoint::Rep::replace_hollow(const io::DirectoryReader& directory,
                                             container::FolderChoice& choice,
                                             const OpenOptions& options) {
  if (sources.empty() || files.back().filename() != kSafetensorsFile ||
      !container::is_hollow(*sources.back())) {
    return {};
  }
  const auto place = std::find(choice.beside.begin(), choice.beside.end(), kBinFile);
  if (place == choice.beside.end()) return {};
  FERRULE_TRY(const auto file, directory.open_file(kBinFile));
  if (!file) return {};
  FERRULE_TRY(const FileKind kind, container::kind_of(*file));
  auto source = container::open_container(*file, kind, options);
  // A bad one is no better than an empty one, which has its own rule.
  if (!source || container::is_hollow(**source)) return {};
  sources.pop_back();
  files.pop_back();
  sizes.pop_back();
  add(*file, std::move(*source));
  *place = kSafetensorsFile;
  return {};
}

Result<void> Checkpoint::Rep::open_path(const std::filesystem::path& path,
                                        const OpenOptions& options) {
  const auto directory = io::DirectoryReader::open(path);
  if (directory) return open_directory(*directory, options);
  if (directory.error().code != ErrorCode::kUnsupported) return directory.error();
  FERRULE_TRY(const auto file, io::InputFile::open(path));
  return open_file(file, nullptr, options);
}

Result<void> Checkpoint::Rep::join() {
  if (sources.size() == 1) return {};
  std::vector<std::size_t> source_of;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto list = sources[i]->tensors();
    tensors.insert(tensors.end(), list.begin(), list.end());
    source_of.resize(tensors.size(), i);
  }
  // Sorted rather than hashed: no choice of names makes this slow.
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
    return tensors[a].name < tensors[b].name;
  });
  std::vector<bool> repeated(tensors.size());
  for (std::size_t i = 1; i < order.size(); ++i) {
    const auto& before = tensors[order[i - 1]];
    const auto& tensor = tensors[order[i]];
    if (before.name != tensor.name) continue;
    if (!same(before.tensor, tensor.tensor)) {
      return base::at(
          base::corrupt("KY-1", "tensor " + quote(tensor.name) + " differs from the one in " +
                                    quote(files[source_of[order[i - 1]]].string())),
          files[source_of[order[i]]]);
    }
    repeated[order[i]] = true;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!repeated[i]) tensors[kept++] = tensors[i];
  }
  tensors.resize(kept);
  std::size_t duplicate = 0;
  index.build(tensors, duplicate);
  join_aliases();
  return {};
}

void Checkpoint::Rep::join_aliases() {
  std::set<std::string_view> seen;
  for (const auto& source : sources) {
    for (const auto& alias : source->aliases()) {
      // What one file dropped, another may hold.
      if (index.find(tensors, alias.removed) || !seen.insert(alias.removed).second) continue;
      aliases.push_back(alias);
    }
  }
}

Result<Checkpoint> Checkpoint::open(const std::filesystem::path& path, const OpenOptions& options) {
  return open(std::span(&path, 1), options);
}

Result<Checkpoint> Checkpoint::open(std::span<const std::filesystem::path> paths,
                                    const OpenOptions& options) {
  if (paths.empty()) {
    return base::invalid("no path to open was given");
  }
  auto rep = std::make_unique<Rep>();
  for (const auto& path : paths) FERRULE_CHECK(rep->open_path(path, options));
  FERRULE_CHECK(rep->join());
  return Checkpoint(std::move(rep));
}

Checkpoint::Checkpoint(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

std::span<const NamedTensor> Checkpoint::tensors() const& noexcept {
  return rep_->sources.size() == 1 ? rep_->sources[0]->tensors() : rep_->tensors;
}

std::optional<TensorView> Checkpoint::find(std::string_view name) const& noexcept {
  if (rep_->sources.size() == 1) return rep_->sources[0]->find(name);
  const auto position = rep_->index.find(rep_->tensors, name);
  if (!position) return std::nullopt;
  return rep_->tensors[*position].tensor;
}

std::span<const TensorAlias> Checkpoint::aliases() const& noexcept {
  return rep_->sources.size() == 1 ? rep_->sources[0]->aliases() : rep_->aliases;
}

Result<FileRange> Checkpoint::range(std::string_view name) const {
  for (const auto& source : rep_->sources) {
    if (source->find(name)) return source->range(name);
  }
  return base::not_found("there is no tensor " + quote(name));
}

std::span<const std::filesystem::path> Checkpoint::files() const& noexcept { return rep_->files; }

std::span<const std::filesystem::path> Checkpoint::beside() const& noexcept { return rep_->beside; }

std::uint64_t Checkpoint::file_bytes() const noexcept {
  return std::accumulate(rep_->sizes.begin(), rep_->sizes.end(), std::uint64_t{0});
}

}  // namespace ferrule
