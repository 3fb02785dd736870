// SPDX-License-Identifier: Apache-2.0
#include "rescue/dcp.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/torch/dcp_metadata.hpp"
#include "format/torch/torch_archive.hpp"
#include "io/walk.hpp"
#include "rescue/torch_files.hpp"
#include "rescue/torch_pieces.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxMetadata = std::uint64_t{1} << 30;
constexpr std::uint64_t kMaxRanks = 65536;

/// "optimizer", "optimizer_0" (Lightning), "optim_state", "lr_schedulers".
bool is_optimizer_key(std::string_view key) {
  return key.starts_with("optim") || key == "opt" ||
         key.find("scheduler") != std::string_view::npos;
}

/// True for the tensors of an optimizer: under a key of its own, or with the names that torch's
/// flattened optimizer state has.
bool is_of_optimizer(const format::DcpTensor& tensor) {
  const auto& path = tensor.path;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    if (is_optimizer_key(path[i])) return true;
  }
  const std::string_view name = path.size() > 1 ? path.front() : tensor.name;
  const auto first = name.substr(0, name.find('.'));
  return first == "state" || first == "param_groups" || is_optimizer_key(first);
}

/// RS-3: the files are there and as long as their items say.
Result<void> check_files(Sources& sources, const fs::path& folder,
                         const format::DcpMetadata& metadata) {
  for (const auto& [name, end] : metadata.files) {
    FERRULE_TRY(const auto source, sources.open(folder / name));
    if (sources.size(source) == end) continue;
    return base::at(base::corrupt("RS-3", "the file has " + std::to_string(sources.size(source)) +
                                              " bytes, .metadata says " + std::to_string(end) +
                                              ": it was cut, or is of another checkpoint"),
                    (folder / name).string());
  }
  return {};
}

/// One item of a .distcp file: a whole torch file that holds one tensor.
Result<Piece> read_item(Sources& sources, const fs::path& folder, const format::DcpTensor& tensor,
                        const format::DcpChunk& chunk) {
  FERRULE_TRY(const auto source, sources.open(folder / chunk.file));
  const auto located = [&](Error error) {
    error.message = "the item of " + quote(tensor.name) + " at byte " +
                    std::to_string(chunk.offset) + ": " + error.message;
    return base::at(std::move(error), (folder / chunk.file).string());
  };
  const WindowSource window(sources, source, chunk.offset, chunk.bytes);
  auto object = format::TorchObject::read(window, {}, format::PicklePolicy::kRefuse);
  if (!object) return located(std::move(object).error());
  auto found = object->tensor(object->pickle().root());
  if (!found) return located(std::move(found).error());
  if (found->dtype != tensor.dtype || found->shape != chunk.sizes) {
    return located(base::corrupt("RS-4", "it is " + std::string(dtype_name(found->dtype)) + " " +
                                             base::shape_text(found->shape) + ", .metadata says " +
                                             std::string(dtype_name(tensor.dtype)) + " " +
                                             base::shape_text(chunk.sizes)));
  }
  auto piece = piece_of(sources, source, chunk.offset, *object, *found);
  piece.offsets = chunk.offsets;
  piece.sizes = chunk.sizes;
  return piece;
}

/// State dicts that were saved as they are, each as one object (a planner that does not flatten).
Result<void> add_objects(Sources& sources, const format::DcpMetadata& metadata, Found& found) {
  std::optional<Error> first;
  for (const auto& object : metadata.objects) {
    if (is_optimizer_key(object.name)) {
      found.has_optimizer = true;
      continue;
    }
    FERRULE_TRY(const auto source, sources.open(found.folder / object.file));
    if (object.offset > sources.size(source) ||
        object.bytes > sources.size(source) - object.offset) {
      continue;  // RS-3 has compared the sizes.
    }
    const auto file =
        TorchState::open_at(sources, found.folder / object.file, object.offset, object.bytes);
    if (!file && !first) first = file.error();
    if (!file || !file->view().is_dict(file->view().root())) continue;
    FERRULE_TRY(auto inside, find_torch_state(sources, *file));
    std::move(inside.tensors.begin(), inside.tensors.end(), std::back_inserter(found.tensors));
  }
  if (found.tensors.empty() && first) return *std::move(first);
  return {};
}

/// The rank in "__3.metadata" or "__3_0.distcp".
std::optional<std::uint64_t> rank_in(std::string_view name) {
  if (!name.starts_with("__")) return std::nullopt;
  std::uint64_t rank = 0;
  const auto [end, error] = std::from_chars(name.data() + 2, name.data() + name.size(), rank);
  if (error != std::errc() || rank >= kMaxRanks) return std::nullopt;
  const auto rest = name.substr(static_cast<std::size_t>(end - name.data()));
  const bool known = rest == ".metadata" || (rest.starts_with('_') && rest.ends_with(".distcp"));
  return known ? std::optional(rank) : std::nullopt;
}

/// `.metadata`; or one for each rank, of a save without collectives (use_collectives=False).
Result<std::vector<std::string>> metadata_names(const fs::path& folder) {
  FERRULE_TRY(const auto listing, io::list_by_kind(folder, io::Stages::kSkip));
  std::uint64_t ranks = 0;
  bool any = false;
  for (const auto& name : listing.files) {
    if (name == ".metadata") return std::vector<std::string>{name};
    const auto rank = rank_in(name);
    if (rank) ranks = std::max(ranks, *rank + 1);
    any |= rank && name.ends_with(".metadata");
  }
  if (!any) return std::vector<std::string>{".metadata"};  // RS-3 names it.
  std::vector<std::string> names;
  for (std::uint64_t rank = 0; rank < ranks; ++rank) {
    names.push_back("__" + std::to_string(rank) + ".metadata");
  }
  return names;
}

class DcpReader {
 public:
  DcpReader(const std::shared_ptr<Sources>& sources, const fs::path& folder)
      : sources_(sources), folder_(folder) {}

  Result<Found> read() {
    found_.kind = "a distributed checkpoint of torch (DCP)";
    found_.folder = folder_;
    FERRULE_TRY(const auto names, metadata_names(folder_));
    for (const auto& name : names) {
      FERRULE_TRY(const auto source, sources_->open(folder_ / name));
      FERRULE_TRY(const auto bytes, sources_->read_all(source, kMaxMetadata));
      auto read = format::read_dcp_metadata(bytes);
      if (!read) return base::at(std::move(read).error(), (folder_ / name).string());
      const auto metadata = std::make_shared<format::DcpMetadata>(*std::move(read));
      FERRULE_CHECK(check_files(*sources_, folder_, *metadata));
      FERRULE_CHECK(add(folder_ / name, metadata));
      metadata_.push_back(metadata);
    }
    return finish();
  }

 private:
  /// A tensor in the metadata of one rank, or of all.
  struct Described {
    std::shared_ptr<const format::DcpMetadata> metadata;
    const format::DcpTensor* tensor;
  };

  Result<void> add(const fs::path& where,
                   const std::shared_ptr<const format::DcpMetadata>& metadata) {
    for (const auto& tensor : metadata->tensors) {
      if (is_of_optimizer(tensor)) {
        found_.has_optimizer = true;
        continue;
      }
      auto& parts = tensors_[tensor.name];
      if (parts.empty()) order_.push_back(tensor.name);
      if (!parts.empty() && (parts.front().tensor->shape != tensor.shape ||
                             parts.front().tensor->dtype != tensor.dtype)) {
        return base::at(base::corrupt("RS-15", "tensor " + quote(tensor.name) + " is " +
                                                   base::shape_text(tensor.shape) + " here, and " +
                                                   base::shape_text(parts.front().tensor->shape) +
                                                   " on other ranks"),
                        where.string());
      }
      parts.push_back({metadata, &tensor});
    }
    return {};
  }

  Result<Found> finish() {
    for (const auto& name : order_) {
      auto& parts = tensors_[name];
      const auto& tensor = *parts.front().tensor;
      // A name of a model has dots; others may occur at several places of a trainer's dictionary.
      const bool nested =
          tensor.path.size() > 1 && tensor.path.back().find('.') != std::string::npos;
      FoundTensor entry{.name = nested ? tensor.path.back() : tensor.name,
                        .dtype = tensor.dtype,
                        .stored = tensor.dtype,
                        .shape = tensor.shape};
      entry.locate = [sources = sources_, folder = folder_, parts](FoundTensor& located) {
        return locate(*sources, folder, parts, located);
      };
      found_.tensors.push_back(std::move(entry));
    }
    for (const auto& metadata : metadata_) {
      if (order_.empty()) FERRULE_CHECK(add_objects(*sources_, *metadata, found_));
    }
    if (found_.tensors.empty() && found_.has_optimizer) {
      return base::at(
          base::corrupt("RS-10", "it holds the state of an optimizer, and no weights: no adapter"),
          folder_.string());
    }
    found_.note_unproved(
        "nothing in a distributed checkpoint ties its files to one step: if a .distcp "
        "file of another step had the same layout, it could not be told");
    return std::move(found_);
  }

  static Result<void> locate(Sources& sources, const fs::path& folder,
                             const std::vector<Described>& parts, FoundTensor& located) {
    for (const auto& part : parts) {
      for (const auto& chunk : part.tensor->chunks) {
        FERRULE_TRY(auto piece, read_item(sources, folder, *part.tensor, chunk));
        const bool is_copy =
            std::any_of(located.pieces.begin(), located.pieces.end(), [&](const Piece& known) {
              return known.offsets == piece.offsets && known.sizes == piece.sizes;
            });
        (is_copy ? located.replicas : located.pieces).push_back(std::move(piece));
      }
    }
    return {};
  }

  std::shared_ptr<Sources> sources_;
  const fs::path& folder_;
  std::vector<std::shared_ptr<const format::DcpMetadata>> metadata_;
  std::map<std::string, std::vector<Described>> tensors_;
  std::vector<std::string> order_;
  Found found_;
};

}  // namespace

Result<Found> find_dcp(const std::shared_ptr<Sources>& sources, const fs::path& folder) {
  return DcpReader(sources, folder).read();
}

}  // namespace ferrule::rescues
