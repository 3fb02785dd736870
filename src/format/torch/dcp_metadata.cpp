// SPDX-License-Identifier: Apache-2.0
#include "format/torch/dcp_metadata.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/pickle/pickle_view.hpp"

namespace ferrule::format {
namespace {

constexpr std::string_view kModule = "torch.distributed.checkpoint.metadata";
constexpr std::string_view kFilesystem = "torch.distributed.checkpoint.filesystem";
constexpr std::size_t kMaxRank = 64;

struct Item {
  std::string_view file;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  bool is_used = false;
};

Error bad(std::string message) { return base::corrupt("RS-2", std::move(message)); }

/// A chunk's key: name and offsets. Names hold no NUL that could make two keys one, since it is
/// followed by fixed-width numbers of a count that the tensor's shape gives.
std::string key_of(std::string_view name, std::span<const std::uint64_t> offsets) {
  std::string key(name);
  key += '\0';
  for (const auto offset : offsets) {
    for (int shift = 0; shift < 64; shift += 8) key += static_cast<char>((offset >> shift) & 0xff);
  }
  return key;
}

/// RS-2: a plain name in the checkpoint's own folder.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

class MetadataReader {
 public:
  explicit MetadataReader(const Pickle& pickle) : view_(pickle) {}

  Result<DcpMetadata> read() {
    const auto& root = view_.root();
    if (!view_.is_made_by(root, kModule, "Metadata")) {
      return bad("it does not hold the Metadata of a distributed checkpoint");
    }
    FERRULE_CHECK(read_storage(root));
    const auto tensors = view_.attribute(root, "state_dict_metadata");
    if (!tensors || !view_.is_dict(*tensors)) return bad("it has no state_dict_metadata");
    if (const auto paths = view_.attribute(root, "planner_data")) read_paths(*paths);
    const auto pairs = view_.pairs(*tensors);
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      const auto name = view_.text(pairs[i]);
      if (!name) return bad("a key of its state dict is not a text");
      if (!names_.emplace(*name, true).second) return bad("it lists " + quote(*name) + " twice");
      if (view_.is_made_by(pairs[i + 1], kModule, "BytesStorageMetadata")) {
        ++out_.others;
        if (const auto item = items_.find(std::string(*name)); item != items_.end()) {
          out_.objects.push_back({.name = std::string(*name),
                                  .file = std::string(item->second.file),
                                  .offset = item->second.offset,
                                  .bytes = item->second.bytes});
        }
        continue;
      }
      FERRULE_TRY(auto tensor, read_tensor(*name, pairs[i + 1]));
      FERRULE_TRY(tensor.path, path_of(*name));
      out_.tensors.push_back(std::move(tensor));
    }
    return std::move(out_);
  }

 private:
  Result<void> read_storage(const PickleValue& root) {
    const auto storage = view_.attribute(root, "storage_data");
    if (!storage || !view_.is_dict(*storage)) return bad("it has no storage_data");
    const auto pairs = view_.pairs(*storage);
    items_.reserve(pairs.size() / 2);
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      FERRULE_TRY(auto key, index_key(pairs[i]));
      FERRULE_TRY(const auto item, read_item(pairs[i + 1]));
      if (!items_.emplace(std::move(key), item).second) {
        return bad("storage_data lists a piece twice, one of file " + quote(item.file));
      }
    }
    return {};
  }

  Result<std::string> index_key(const PickleValue& index) const {
    if (!view_.is_made_by(index, kModule, "MetadataIndex")) {
      return bad("a key of storage_data is not a MetadataIndex");
    }
    const auto name = view_.attribute(index, "fqn");
    const auto offset = view_.attribute(index, "offset");
    const auto text = name ? view_.text(*name) : std::nullopt;
    if (!text) return bad("a MetadataIndex has no name");
    if (!offset || offset->kind == PickleValue::Kind::kNone) return std::string(*text);
    const auto counts = view_.counts(*offset);
    if (!counts || counts->size() > kMaxRank) {
      return bad("the piece of " + quote(*text) + " has no offset");
    }
    return key_of(*text, *counts);
  }

  Result<Item> read_item(const PickleValue& info) {
    if (!view_.is_made_by(info, kFilesystem, "_StorageInfo")) {
      return base::unsupported("RS-2",
                               "its storage is not that of torch's FileSystemWriter: an entry of "
                               "storage_data is not a _StorageInfo");
    }
    const auto file = view_.attribute(info, "relative_path");
    const auto offset = view_.attribute(info, "offset");
    const auto length = view_.attribute(info, "length");
    const auto transform = view_.attribute(info, "transform_descriptors");
    const auto name = file ? view_.text(*file) : std::nullopt;
    if (!name || !is_plain_name(*name)) {
      return bad("an item is in " + (name ? quote(*name) : std::string("no file")) +
                 ", which is not a plain name");
    }
    if (transform && transform->kind != PickleValue::Kind::kNone &&
        !view_.items(*transform).empty()) {
      return base::unsupported("RS-2", "an item of file " + quote(*name) +
                                           " was transformed (compressed, encrypted) on writing");
    }
    Item item{.file = *name};
    const auto at = offset ? view_.count(*offset) : std::nullopt;
    const auto bytes = length ? view_.count(*length) : std::nullopt;
    const auto end = at && bytes ? base::checked_add(*at, *bytes) : std::nullopt;
    if (!end) return bad("an item of file " + quote(*name) + " has no offset or no length");
    item.offset = *at;
    item.bytes = *bytes;
    auto& file_end = out_.files[std::string(*name)];
    file_end = std::max(file_end, *end);
    return item;
  }

  Result<DcpTensor> read_tensor(std::string_view name, const PickleValue& value) {
    const auto what = "the tensor " + quote(name);
    if (!view_.is_made_by(value, kModule, "TensorStorageMetadata")) {
      return bad(what + " is described by something else than a TensorStorageMetadata");
    }
    DcpTensor tensor;
    tensor.name = name;
    FERRULE_TRY(tensor.dtype, dtype_of(what, value));
    const auto size = view_.attribute(value, "size");
    auto shape = size ? view_.counts(*size) : std::nullopt;
    if (!shape || shape->size() > kMaxRank || !byte_size(tensor.dtype, *shape)) {
      return bad(what + " has no valid size");
    }
    tensor.shape = std::move(*shape);
    const auto chunks = view_.attribute(value, "chunks");
    if (!chunks || !view_.is_sequence(*chunks)) return bad(what + " has no list of chunks");
    for (const auto& chunk : view_.items(*chunks)) {
      FERRULE_CHECK(read_chunk(what, chunk, tensor));
    }
    return tensor;
  }

  Result<Dtype> dtype_of(const std::string& what, const PickleValue& value) const {
    const auto properties = view_.attribute(value, "properties");
    const auto state = properties ? view_.state(*properties) : std::nullopt;
    std::optional<PickleValue> dtype;
    if (state && view_.is_sequence(*state) && !view_.items(*state).empty()) {
      dtype = view_.items(*state)[0];
    } else if (state) {
      dtype = view_.find(*state, "dtype");
    }
    const auto* global = dtype ? view_.global(*dtype) : nullptr;
    if (global == nullptr) return bad(what + " has no dtype");
    if (global->facts.id == GlobalId::kRefusedDtype) {
      return base::unsupported("RS-2", what + " is of " + std::string(global->facts.what));
    }
    if (global->facts.id != GlobalId::kDtype) {
      return bad(what + " has " + quote(global->name) + " for its dtype");
    }
    return global->facts.dtype;
  }

  Result<void> read_chunk(const std::string& what, const PickleValue& value, DcpTensor& tensor) {
    const auto offsets = view_.attribute(value, "offsets");
    const auto sizes = view_.attribute(value, "sizes");
    DcpChunk chunk;
    auto at = offsets ? view_.counts(*offsets) : std::nullopt;
    auto extent = sizes ? view_.counts(*sizes) : std::nullopt;
    if (!at || !extent || at->size() != tensor.shape.size() ||
        extent->size() != tensor.shape.size()) {
      return bad(what + " has a chunk without offsets or sizes of its rank");
    }
    bool is_empty = false;
    for (std::size_t d = 0; d < at->size(); ++d) {
      is_empty |= (*extent)[d] == 0;
      const auto end = base::checked_add((*at)[d], (*extent)[d]);
      if (!end || *end > tensor.shape[d]) {
        return bad(what + " has a chunk that reaches outside of it, in dimension " +
                   std::to_string(d));
      }
    }
    if (is_empty) return {};  // Of a rank with fewer rows than ranks.
    auto found = items_.find(key_of(tensor.name, *at));
    if (found == items_.end()) found = items_.find(tensor.name);
    if (found == items_.end()) return bad(what + " has a chunk that no file holds");
    if (found->second.is_used) return bad(what + " has two chunks in one place");
    found->second.is_used = true;
    chunk.offsets = std::move(*at);
    chunk.sizes = std::move(*extent);
    chunk.file = found->second.file;
    chunk.offset = found->second.offset;
    chunk.bytes = found->second.bytes;
    tensor.chunks.push_back(std::move(chunk));
    return {};
  }

  void read_paths(const PickleValue& paths) {
    const auto pairs = view_.pairs(paths);
    for (std::size_t i = 0; i < pairs.size(); i += 2) {
      if (const auto name = view_.text(pairs[i])) paths_.insert_or_assign(*name, pairs[i + 1]);
    }
  }

  Result<std::vector<std::string>> path_of(std::string_view name) const {
    std::vector<std::string> path;
    const auto found = paths_.find(name);
    if (found == paths_.end()) return std::vector<std::string>{std::string(name)};
    for (const auto& part : view_.items(found->second)) {
      if (const auto text = view_.text(part)) {
        path.emplace_back(*text);
      } else if (const auto index = view_.integer(part)) {
        path.push_back(std::to_string(*index));
      } else {
        return bad("the path of " + quote(name) + " is not of texts and indexes");
      }
    }
    if (path.empty()) path.emplace_back(name);
    return path;
  }

  PickleView view_;
  std::unordered_map<std::string, Item> items_;
  std::unordered_map<std::string_view, bool> names_;
  std::unordered_map<std::string_view, PickleValue> paths_;
  DcpMetadata out_;
};

}  // namespace

Result<DcpMetadata> read_dcp_metadata(std::span<const std::byte> bytes) {
  FERRULE_TRY(const auto pickle, Pickle::read(bytes, {}, PicklePolicy::kDcpMetadata));
  if (pickle.end() != bytes.size()) {
    return base::corrupt("PK-1", std::to_string(bytes.size() - pickle.end()) +
                                     " bytes follow the STOP of the pickle");
  }
  return MetadataReader(pickle).read();
}

}  // namespace ferrule::format
