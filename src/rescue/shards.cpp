// SPDX-License-Identifier: Apache-2.0
#include "rescue/shards.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/json.hpp"
#include "ferrule/text.hpp"
#include "io/digest.hpp"
#include "rescue/safetensors_files.hpp"
#include "rescue/shard_manifest.hpp"
#include "rescue/sources.hpp"
#include "rescue/torch_pieces.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;

struct ShardName {
  std::uint64_t rank = 0;
  std::uint64_t file = 0;
  std::uint64_t files = 0;
};

std::optional<ShardName> parse_name(std::string_view name) {
  ShardName parsed;
  const auto take = [&](std::string_view head, std::uint64_t& number) {
    if (!name.starts_with(head)) return false;
    name.remove_prefix(head.size());
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc() || number == 0 || number > kMaxWorld) return false;
    name.remove_prefix(static_cast<std::size_t>(end - name.data()));
    return true;
  };
  if (!take("shard-", parsed.rank) || !take("-model-", parsed.file) ||
      !take("-of-", parsed.files) || name != ".safetensors") {
    return std::nullopt;
  }
  --parsed.rank;
  return parsed;
}

std::string file_name(std::uint64_t rank, std::uint64_t file, std::uint64_t files) {
  char text[96];
  std::snprintf(text, sizeof text, "shard-%05llu-model-%05llu-of-%05llu.safetensors",
                static_cast<unsigned long long>(rank + 1), static_cast<unsigned long long>(file),
                static_cast<unsigned long long>(files));
  return text;
}

const std::string* find_pair(const Metadata& metadata, std::string_view key) {
  for (const auto& [name, value] : metadata) {
    if (name == key) return &value;
  }
  return nullptr;
}

class ShardReader {
 public:
  ShardReader(Sources& sources, const fs::path& folder, const std::vector<std::string>& names)
      : sources_(sources), folder_(folder), names_(names) {}

  Result<Found> read() {
    found_.folder = folder_;
    FERRULE_CHECK(sort_names());
    for (const auto& [place, name] : files_) FERRULE_CHECK(read_file(place.first, name));
    if (first_) {
      FERRULE_CHECK(check_ranks());
      found_.kind = "shards of save_shard";
      found_.step = first_->step;
      found_.world_size = first_->world;
    } else {
      found_.kind = "shards of torch's DCP with Hugging Face storage";
      finish_shapes();
    }
    for (auto& [name, tensor] : tensors_) found_.tensors.push_back(std::move(tensor));
    return std::move(found_);
  }

 private:
  Error bad(std::string_view rule, const std::string& name, std::string what) const {
    return base::at(base::corrupt(rule, std::move(what)), (folder_ / name).string());
  }

  Error missing(const std::string& name) const {
    const bool unfinished =
        std::any_of(names_.begin(), names_.end(), [&](const std::string& other) {
          return other.size() > name.size() && other.find(name) != std::string::npos;
        });
    return bad("RS-5", name,
               unfinished ? "the shard is missing: its rank did not finish writing it"
                          : "the shard is missing");
  }

  /// RS-5: no gaps, by the names alone.
  Result<void> sort_names() {
    std::uint64_t last = 0;
    for (const auto& name : names_) {
      const auto parsed = parse_name(name);
      if (!parsed) continue;
      files_.emplace(std::pair(parsed->rank, parsed->file), name);
      last = std::max(last, parsed->rank);
      if (parsed->file > parsed->files) return bad("RS-5", name, "its name is not possible");
    }
    for (std::uint64_t rank = 0; rank <= last; ++rank) {
      const auto found = files_.lower_bound({rank, 0});
      const auto any = found != files_.end() && found->first.first == rank;
      const auto files = any ? parse_name(found->second)->files : 1;
      for (std::uint64_t file = 1; file <= files; ++file) {
        if (!files_.contains({rank, file})) return missing(file_name(rank, file, files));
      }
    }
    return {};
  }

  Result<void> read_file(std::uint64_t rank, const std::string& name) {
    FERRULE_TRY(const auto file, open_safetensors(sources_, folder_ / name));
    const auto* text = find_pair(file.metadata, kShardKey);
    if ((text != nullptr) != first_.has_value() && !tensors_.empty()) {
      return bad("RS-6", name, "it is of another kind of shard than the files before it");
    }
    if (text == nullptr) return add_dcp(name, file);
    FERRULE_TRY(const auto manifest, read_manifest(folder_ / name, *text));
    if (manifest.rank != rank) {
      return bad("RS-5", name,
                 "it is of rank " + std::to_string(manifest.rank) + ", its name says " +
                     std::to_string(rank));
    }
    FERRULE_CHECK(check_digest(name, file, manifest));
    if (!first_) {
      first_ = manifest;
      first_name_ = name;
    }
    FERRULE_CHECK(check_same_job(name, manifest));
    ranks_.push_back(rank);
    return add_ours(name, file, manifest);
  }

  // save_shard's own.

  /// RS-14.
  Result<void> check_digest(const std::string& name, const OpenedSafetensors& file,
                            const ShardManifest& manifest) const {
    io::Sha256 digest;
    std::vector<std::byte> block;
    for (std::uint64_t at = 0; at < file.data_bytes; at += block.size()) {
      block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, file.data_bytes - at)));
      FERRULE_CHECK(sources_.read_at(file.source, file.data_start + at, block));
      digest.update(block);
    }
    const auto sum = io::to_hex(digest.finish());
    if (sum == manifest.sha256) return {};
    return bad("RS-14", name,
               "its data has the SHA-256 " + sum + ", FERRULE_SHARD says " +
                   printable(manifest.sha256, 64) + ": it was damaged or changed");
  }

  /// RS-5 and RS-6.
  Result<void> check_same_job(const std::string& name, const ShardManifest& manifest) const {
    const auto differ = [&](std::string_view what, const std::string& here,
                            const std::string& there) {
      return bad("RS-6", name,
                 "it is of " + std::string(what) + " " + here + ", " + quote(first_name_) + " of " +
                     std::string(what) + " " + there);
    };
    if (manifest.run != first_->run) {
      return differ("run", quote(manifest.run), quote(first_->run));
    }
    if (manifest.step != first_->step) {
      return differ("step", std::to_string(manifest.step), std::to_string(first_->step));
    }
    if (manifest.world != first_->world) {
      return differ("world size", std::to_string(manifest.world), std::to_string(first_->world));
    }
    return {};
  }

  Result<void> check_ranks() const {
    for (std::uint64_t rank = 0; rank < first_->world; ++rank) {
      if (std::find(ranks_.begin(), ranks_.end(), rank) == ranks_.end()) {
        return missing(shard_name(rank));
      }
    }
    if (ranks_.size() == first_->world) return {};
    return bad("RS-5", files_.rbegin()->second,
               "it is one of " + std::to_string(ranks_.size()) + " shards of a job of " +
                   std::to_string(first_->world) + " ranks");
  }

  Result<void> add_ours(const std::string& name, const OpenedSafetensors& file,
                        const ShardManifest& manifest) {
    const auto& listed = *manifest.tensors.if_object();
    if (!is_listed_ && tensors_.empty()) {
      for (const auto& [tensor, facts] : listed) {
        const auto shape = json_counts(facts.find("shape"));
        if (!shape) return bad("RS-2", name, "FERRULE_SHARD has no shape for " + quote(tensor));
        tensors_[tensor] = {.name = tensor, .shape = *shape};
      }
      is_listed_ = true;
    }
    std::map<std::string_view, const FoundTensor*> present;
    for (const auto& tensor : file.tensors) present.emplace(tensor.name, &tensor);
    for (const auto& [tensor, facts] : listed) {
      const auto known = tensors_.find(tensor);
      if (known == tensors_.end() || json_counts(facts.find("shape")) != known->second.shape) {
        return bad("RS-6", name,
                   "its list of tensors is not that of " + quote(first_name_) +
                       ": they differ in " + quote(tensor));
      }
      const auto held = present.find(tensor);
      if (held == present.end()) continue;
      FERRULE_CHECK(add_piece(name, facts, *held->second, known->second));
      present.erase(held);
    }
    if (listed.size() != tensors_.size()) {
      return bad("RS-6", name,
                 "it lists " + std::to_string(listed.size()) + " tensors, " + quote(first_name_) +
                     " lists " + std::to_string(tensors_.size()));
    }
    if (present.empty()) return {};
    return bad("RS-2", name,
               "FERRULE_SHARD does not list its tensor " + quote(present.begin()->first));
  }

  Result<void> add_piece(const std::string& name, const Json& facts, const FoundTensor& held,
                         FoundTensor& tensor) const {
    if (held.pieces.empty()) return {};  // A rank with fewer rows than ranks.
    Piece piece = held.pieces.front();
    const auto* kind = facts.find("kind");
    const bool is_range =
        kind != nullptr && kind->if_string() != nullptr && *kind->if_string() == "flat";
    if (is_range) {
      const auto range = json_counts(facts.find("range"));
      const auto elements = element_count(held.shape).value_or(0);
      if (!range || range->size() != 2 || (*range)[1] < (*range)[0] ||
          (*range)[1] - (*range)[0] != elements) {
        return bad("RS-4", name,
                   "the range of " + quote(held.name) + " does not have its " +
                       std::to_string(elements) + " elements");
      }
      piece.is_range = true;
      piece.offsets = {(*range)[0]};
      piece.sizes = {elements};
    } else {
      const auto offset = json_counts(facts.find("offset"));
      if (!offset || offset->size() != held.shape.size()) {
        return bad("RS-4", name,
                   "the offset of " + quote(held.name) +
                       " does not have the dimensions of its part, " +
                       base::shape_text(held.shape));
      }
      piece.offsets = *offset;
      piece.sizes = held.shape;
    }
    return enter(name, held, std::move(piece), tensor, true);
  }

  Result<void> enter(const std::string& name, const FoundTensor& held, Piece piece,
                     FoundTensor& tensor, bool copies) const {
    if (tensor.pieces.empty()) {
      tensor.dtype = tensor.stored = held.dtype;
    } else if (tensor.dtype != held.dtype) {
      return bad("RS-4", name,
                 quote(held.name) + " is " + std::string(dtype_name(held.dtype)) + " here, and " +
                     std::string(dtype_name(tensor.dtype)) + " in other shards");
    }
    const bool is_copy =
        copies && std::any_of(tensor.pieces.begin(), tensor.pieces.end(), [&](const Piece& other) {
          return other.is_range == piece.is_range && other.offsets == piece.offsets &&
                 other.sizes == piece.sizes;
        });
    (is_copy ? tensor.replicas : tensor.pieces).push_back(std::move(piece));
    return {};
  }

  // Torch's, which do not say the shape of the whole.

  Result<void> add_dcp(const std::string& name, const OpenedSafetensors& file) {
    const auto* text = find_pair(file.metadata, kShardingInfoKey);
    const auto info = text != nullptr ? Json::parse(*text) : Json::parse("{}");
    if (!info || info->if_object() == nullptr) {
      return bad("RS-2", name, "DCP_SHARDING_INFO is not a JSON object");
    }
    for (const auto& held : file.tensors) {
      const auto* facts = info->find(held.name);
      auto offsets = json_counts(facts != nullptr ? facts->find("saved_offsets") : nullptr);
      if (!offsets && facts != nullptr) {
        return bad("RS-2", name, "DCP_SHARDING_INFO has no saved_offsets for " + quote(held.name));
      }
      if (!offsets) offsets = std::vector<std::uint64_t>(held.shape.size(), 0);
      if (offsets->size() != held.shape.size()) {
        return bad("RS-4", name,
                   "the offsets of " + quote(held.name) +
                       " do not have the dimensions of its part, " + base::shape_text(held.shape));
      }
      auto& tensor = tensors_[held.name];
      tensor.name = held.name;
      if (tensor.shape.empty()) tensor.shape.assign(held.shape.size(), 0);
      if (tensor.shape.size() != held.shape.size()) {
        return bad("RS-4", name,
                   quote(held.name) +
                       " has another number of dimensions than in "
                       "other shards");
      }
      for (std::size_t d = 0; d < held.shape.size(); ++d) {
        const auto end = base::checked_add((*offsets)[d], held.shape[d]);
        if (!end) return bad("RS-4", name, quote(held.name) + " has impossible offsets");
        tensor.shape[d] = std::max(tensor.shape[d], *end);
      }
      if (held.pieces.empty()) continue;
      Piece piece = held.pieces.front();
      piece.offsets = *std::move(offsets);
      // Its planner writes copies once: a second one is of another save.
      FERRULE_CHECK(enter(name, held, std::move(piece), tensor, false));
    }
    return {};
  }

  void finish_shapes() {
    found_.note_unproved(
        "these files do not say how many ranks there were, at which step, or how large "
        "a whole tensor is: that the last shard is there is proved only as far as the "
        "config's ranks show it");
  }

  Sources& sources_;
  const fs::path& folder_;
  const std::vector<std::string>& names_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> files_;
  std::optional<ShardManifest> first_;
  std::string first_name_;
  bool is_listed_ = false;
  std::vector<std::uint64_t> ranks_;
  std::map<std::string, FoundTensor, std::less<>> tensors_;
  Found found_;
};

}  // namespace

std::string shard_name(std::uint64_t rank) { return file_name(rank, 1, 1); }

bool is_shard_folder(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return parse_name(name).has_value(); });
}

Result<Found> find_shards(const std::shared_ptr<Sources>& sources, const fs::path& folder,
                          const std::vector<std::string>& names) {
  return ShardReader(*sources, folder, names).read();
}

}  // namespace ferrule::rescues
