// SPDX-License-Identifier: Apache-2.0
#include "rescue/dcp.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/torch/dcp_metadata.hpp"
#include "format/torch/torch_archive.hpp"
#include "rescue/torch_pieces.hpp"

namespace ferrule::rescues {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxMetadata = std::uint64_t{1} << 30;

constexpr std::array<std::string_view, 10> kOptimizerKeys = {
    "optimizer", "optim",        "optimizers", "optimizer_states", "optimizer_state_dict",
    "opt",       "lr_scheduler", "scheduler",  "lr_schedulers",    "optimizer_state"};

bool is_optimizer_key(std::string_view key) {
  return std::find(kOptimizerKeys.begin(), kOptimizerKeys.end(), key) != kOptimizerKeys.end();
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

}  // namespace

Result<Found> find_dcp(const std::shared_ptr<Sources>& sources, const fs::path& folder) {
  FERRULE_TRY(const auto source, sources->open(folder / ".metadata"));
  FERRULE_TRY(const auto bytes, sources->read_all(source, kMaxMetadata));
  auto read = format::read_dcp_metadata(bytes);
  if (!read) return base::at(std::move(read).error(), (folder / ".metadata").string());
  const auto metadata = std::make_shared<format::DcpMetadata>(*std::move(read));
  FERRULE_CHECK(check_files(*sources, folder, *metadata));
  Found found{.tensors = {}, .kind = "a distributed checkpoint of torch (DCP)", .folder = folder};
  for (const auto& tensor : metadata->tensors) {
    if (is_of_optimizer(tensor)) {
      found.has_optimizer = true;
      continue;
    }
    FoundTensor entry{.name = tensor.path.size() > 1 ? tensor.path.back() : tensor.name,
                      .dtype = tensor.dtype,
                      .stored = tensor.dtype,
                      .shape = tensor.shape};
    const auto* described = &tensor;
    entry.locate = [sources, metadata, described, folder]() -> Result<std::vector<Piece>> {
      std::vector<Piece> pieces;
      for (const auto& chunk : described->chunks) {
        FERRULE_TRY(auto piece, read_item(*sources, folder, *described, chunk));
        pieces.push_back(std::move(piece));
      }
      return pieces;
    };
    found.tensors.push_back(std::move(entry));
  }
  if (found.tensors.empty() && found.has_optimizer) {
    return base::at(
        base::corrupt("RS-10", "it holds the state of an optimizer, and no weights: no adapter"),
        folder.string());
  }
  found.findings.push_back(
      {.severity = Severity::kNote,
       .rule = "RS-17",
       .path = folder.string(),
       .key = {},
       .message = "nothing in a distributed checkpoint ties its files to one step: if a .distcp "
                  "file of another step had the same layout, it could not be told",
       .advice = {}});
  return found;
}

}  // namespace ferrule::rescues
