// SPDX-License-Identifier: Apache-2.0
#include "ferrule/save_shard.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/parallel.hpp"
#include "base/try.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/json.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/tensor_source.hpp"
#include "ferrule/tensor_stream.hpp"
#include "ferrule/text.hpp"
#include "ferrule/text_file.hpp"
#include "format/safetensors/safetensors_header.hpp"
#include "io/digest.hpp"
#include "io/folder.hpp"
#include "io/reserved_range.hpp"
#include "io/transaction/file_transaction.hpp"
#include "rescue/adapter_choice.hpp"
#include "rescue/shard_manifest.hpp"
#include "rescue/shards.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// Below, starting a thread takes longer than the sum.
constexpr std::uint64_t kWorthAThread = std::uint64_t{1} << 20;

Error bad_part(const ShardTensor& tensor, std::string_view what) {
  return base::invalid("RS-4", "tensor " + quote(tensor.name) + ": " + std::string(what));
}

/// The part is inside the tensor, and its bytes are as many as it needs.
Result<void> check_part(const ShardTensor& tensor) {
  const bool flat = tensor.kind == ShardKind::kFlat;
  const std::size_t rank = flat ? 1 : tensor.shape.size();
  if (tensor.offset.size() != rank || tensor.sizes.size() != rank) {
    return bad_part(tensor, "its part has another number of dimensions than the tensor");
  }
  const auto total = element_count(tensor.shape);
  const auto bytes = byte_size(tensor.dtype, tensor.sizes);
  if (!total || !bytes) return bad_part(tensor, "its shape has no size in bytes");
  for (std::size_t d = 0; d < rank; ++d) {
    const auto end = base::checked_add(tensor.offset[d], tensor.sizes[d]);
    if (!end || *end > (flat ? *total : tensor.shape[d])) {
      return bad_part(tensor, "its part reaches outside of the tensor");
    }
  }
  if (tensor.bytes.size() == *bytes) return {};
  return bad_part(tensor, "its part needs " + std::to_string(*bytes) + " bytes, found " +
                              std::to_string(tensor.bytes.size()));
}

Json to_array(std::span<const std::uint64_t> counts) {
  Json::Array array;
  for (const auto count : counts) array.emplace_back(count);
  return Json(std::move(array));
}

class ShardWriter {
 public:
  ShardWriter(std::span<const ShardTensor> tensors, std::vector<AdapterKey> keys,
              const SaveShardOptions& options)
      : tensors_(tensors), keys_(std::move(keys)), options_(options) {
    std::sort(keys_.begin(), keys_.end(),
              [](const AdapterKey& a, const AdapterKey& b) { return a.key < b.key; });
  }

  /// Before anything is made.
  Result<void> check() const {
    for (const auto& key : keys_) FERRULE_CHECK(check_part(tensors_[key.index]));
    return {};
  }

  Result<SaveShardReport> write(const fs::path& folder) {
    for (const auto& key : keys_) {
      const auto& tensor = tensors_[key.index];
      describe(key.key, tensor);
      if (tensor.bytes.empty()) continue;
      streams_.push_back(
          {.name = key.key, .dtype = tensor.dtype, .shape = tensor.sizes, .bytes = tensor.bytes});
    }
    SaveShardReport report{.file = folder / rescues::shard_name(options_.rank),
                           .tensors = streams_.size(),
                           .file_bytes = 0};
    FERRULE_CHECK(write_file(report.file));
    for (const auto& stream : streams_) report.file_bytes += stream.bytes.size();
    return report;
  }

 private:
  void describe(const std::string& key, const ShardTensor& tensor) {
    Json part(Json::Object{});
    const bool flat = tensor.kind == ShardKind::kFlat;
    part.set("kind", Json(flat ? "flat" : "box"));
    if (flat) {
      const std::uint64_t range[] = {tensor.offset[0], tensor.offset[0] + tensor.sizes[0]};
      part.set("range", to_array(range));
    } else {
      part.set("offset", to_array(tensor.offset));
      if (!tensor.bytes.empty()) {
        boxes_.emplace_back(key, Json(Json::Object{{"saved_offsets", to_array(tensor.offset)}}));
      }
    }
    part.set("shape", to_array(tensor.shape));
    listed_.emplace_back(key, std::move(part));
  }

  /// The header says what the data sums to. So that a rank does not wait for the sum, the data is
  /// written meanwhile, after a header as long as the right one, which then takes its place.
  Result<void> write_file(const fs::path& path) {
    FERRULE_TRY(const auto draft, encode(std::string(2 * sizeof(io::Sha256Sum), '0')));
    FERRULE_TRY(auto transaction, io::FileTransaction::begin(path, options_.durability));
    auto& file = transaction.file();
    FERRULE_CHECK(file.reserve(draft.bytes.size() + draft.data_bytes));
    std::string sum;
    Result<void> written;
    base::parallel_for(2, draft.data_bytes < kWorthAThread ? 1 : 2, [&](std::size_t i) {
      if (i == 0) {
        sum = digest(draft);
      } else {
        written = write_draft(file, draft);
      }
    });
    FERRULE_CHECK(std::move(written));
    FERRULE_TRY(const auto header, encode(sum));
    FERRULE_CHECK(file.write_at(0, std::as_bytes(std::span(header.bytes))));
    return transaction.commit();
  }

  Result<format::EncodedHeader> encode(const std::string& sum) const {
    Json manifest(Json::Object{});
    manifest.set("rank", Json(options_.rank));
    manifest.set("run", Json(options_.run_id));
    manifest.set("sha256", Json(sum));
    manifest.set("step", Json(options_.step.value_or(0)));
    manifest.set("tensors", Json(listed_));
    manifest.set("version", Json(1));
    manifest.set("world", Json(options_.world_size));
    const Metadata metadata = {
        {std::string(rescues::kShardingInfoKey), Json(boxes_).dump_python(-1, false)},
        {"DCP_VERSION", "1.0"},
        {std::string(rescues::kShardKey), manifest.dump_python(-1, false)},
        {"format", "pt"}};
    std::vector<format::HeaderEntry> entries;
    for (const auto& stream : streams_)
      entries.push_back({stream.name, stream.dtype, stream.shape});
    return format::encode_safetensors_header(entries, metadata);
  }

  /// RS-14: of the data section, in the order in which it is written.
  std::string digest(const format::EncodedHeader& header) const {
    io::Sha256 sum;
    for (const auto position : header.order) sum.update(streams_[position].bytes);
    return io::to_hex(sum.finish());
  }

  Result<void> write_draft(io::OutputFile& file, const format::EncodedHeader& header) const {
    std::vector<std::span<const std::byte>> pieces = {std::as_bytes(std::span(header.bytes))};
    for (const auto position : header.order) pieces.push_back(streams_[position].bytes);
    return file.write(pieces);
  }

  std::span<const ShardTensor> tensors_;
  std::vector<AdapterKey> keys_;
  const SaveShardOptions& options_;
  std::vector<TensorStream> streams_;
  Json::Object listed_;
  Json::Object boxes_;
};

Result<void> check_options(const SaveShardOptions& options) {
  if (options.world_size == 0 || options.world_size > rescues::kMaxWorld ||
      options.rank >= options.world_size) {
    return base::invalid("RS-5", "rank " + std::to_string(options.rank) + " of " +
                                     std::to_string(options.world_size) + " ranks is not possible");
  }
  if (options.run_id.empty()) {
    return base::invalid("RS-6", "the run needs an id that all its ranks have, and no other run");
  }
  if (options.step && *options.step > 99'999'999) {
    return base::invalid("RS-6", "step " + std::to_string(*options.step) + " is beyond 99999999");
  }
  return {};
}

}  // namespace

Result<std::vector<AdapterKey>> adapter_keys(std::span<const ShardTensor> tensors,
                                             const AdapterConfig& config,
                                             const std::string& adapter) {
  std::uint64_t total = 0;
  for (const auto& tensor : tensors) {
    const auto bytes = byte_size(tensor.dtype, tensor.shape);
    if (!bytes || !base::add_to(total, *bytes)) return bad_part(tensor, "its shape has no size");
  }
  FERRULE_TRY(const auto range, io::ReservedRange::of(total));
  StateDict state;
  std::vector<std::pair<const std::byte*, std::size_t>> starts;
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& tensor = tensors[i];
    const auto bytes = static_cast<std::size_t>(*byte_size(tensor.dtype, tensor.shape));
    const auto content = range.bytes().subspan(static_cast<std::size_t>(at), bytes);
    FERRULE_CHECK(state.add(tensor.name, tensor.dtype, tensor.shape, content));
    if (bytes != 0) starts.emplace_back(content.data(), i);
    at += bytes;
  }
  const fs::path nowhere;
  rescues::AdapterChoice choice(config, adapter, nowhere);
  FERRULE_TRY(const auto selection, choice.select(state));
  std::vector<Finding> findings;
  FERRULE_CHECK(choice.judge(selection.config, selection.tensors, findings));
  std::vector<AdapterKey> keys;
  for (const auto& tensor : selection.tensors) {
    const auto found = std::lower_bound(
        starts.begin(), starts.end(), tensor.bytes.data(),
        [](const auto& start, const std::byte* data) { return start.first < data; });
    if (found == starts.end() || found->first != tensor.bytes.data() ||
        tensors[found->second].shape != tensor.shape) {
      return base::unsupported("RS-16", "tensor " + quote(tensor.name) +
                                            " is computed from others when it is saved: an adapter "
                                            "of " +
                                            config.peft_type() + " cannot be saved in shards");
    }
    keys.push_back({found->second, tensor.name});
  }
  return keys;
}

Result<SaveShardReport> save_shard(std::span<const ShardTensor> tensors,
                                   const AdapterConfig& config, const fs::path& directory,
                                   const SaveShardOptions& options) {
  FERRULE_CHECK(check_options(options));
  FERRULE_TRY(auto keys, adapter_keys(tensors, config, options.adapter));
  fs::path folder = directory;
  if (options.step) {
    char name[32];
    std::snprintf(name, sizeof name, "step-%08llu", static_cast<unsigned long long>(*options.step));
    folder /= name;
  }
  ShardWriter writer(tensors, std::move(keys), options);
  FERRULE_CHECK(writer.check());
  FERRULE_CHECK(io::Folder::make(folder));
  FERRULE_TRY(auto report, writer.write(folder));
  if (options.rank == 0) {
    FERRULE_CHECK(write_text_file(folder / kConfigFile, config.to_json(), options.durability));
  }
  return report;
}

}  // namespace ferrule
