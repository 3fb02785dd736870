// SPDX-License-Identifier: Apache-2.0
// Converts a weights file without holding its tensors in memory:
//
// 1. Detect the format from the first bytes, never from the name (ST-18).
// 2. Read and check the header (ST-1 to ST-15), or the zip directory and the pickle (TZ and PK
//    rules), with the same code as the readers that map files.
// 3. Make a plan: for each tensor, or for each storage of a torch file that stays one, a function
//    that reads a piece of it with pread(). A tensor that is not contiguous is rearranged piece by
//    piece.
// 4. Hand the plan to the writer of the other format.
//
// The CRC-32 of a storage is compared when its last piece was read (TZ-11). Storages of which
// tensors use only parts are read again before anything is written, for their checksum only.
#include "container/weights_stream.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "container/container.hpp"
#include "container/tensor_plan.hpp"
#include "container/torch_layout.hpp"
#include "container/torch_plan.hpp"
#include "format/safetensors/safetensors_header.hpp"
#include "format/strided_copy.hpp"
#include "format/torch/torch_archive.hpp"
#include "format/zip/crc32.hpp"
#include "io/mapping.hpp"

namespace ferrule::container {

using format::TorchLayout;
using format::TorchTensor;
using ReadPiece = std::function<Result<void>(std::uint64_t, std::span<std::byte>)>;

struct WeightsStream::Rep {
  explicit Rep(io::InputFile opened) : file(std::move(opened)), source(file) {}

  io::InputFile file;
  FileSource source;
  // Of a safetensors file. The mapping gives its tensors places; its pages are never touched.
  io::Mapping mapping;
  std::string json;
  std::optional<format::SafetensorsHeader> header;
  // Of a torch file.
  TorchLayout layout;

  Result<void> read_safetensors(const ReadLimits& limits);
  TensorPlan safetensors_plan() const;
  ReadPiece storage_reader(std::size_t storage) const;
  ReadPiece tensor_reader(const TorchTensor& tensor) const;
  TensorPlan tensor_plan() const;
  std::optional<TorchPlan> storage_plan() const;
  Result<void> check_partial_storages() const;
  Result<void> write_torch_layout(io::OutputFile& out, WeightsFormat format) const;
};

namespace {

bool covers(const TorchTensor& tensor, const format::TorchStorage& storage) noexcept {
  return tensor.is_contiguous && tensor.offset == 0 && tensor.bytes == storage.bytes;
}

}  // namespace

Result<void> WeightsStream::Rep::read_safetensors(const ReadLimits& limits) {
  std::vector<std::byte> head(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), 16)));
  FERRULE_CHECK(file.read_at(0, head));
  FERRULE_TRY(const auto length, format::header_length(head, file.size(), limits));
  json.resize(static_cast<std::size_t>(length));
  FERRULE_CHECK(file.read_at(format::kHeaderLengthBytes, std::as_writable_bytes(std::span(json))));
  FERRULE_TRY(mapping, io::Mapping::of(file, Backing::kMap));
  const auto data = mapping.bytes().subspan(format::kHeaderLengthBytes + json.size());
  FERRULE_TRY(header, format::parse_safetensors_header(json, data, limits));
  return {};
}

TensorPlan WeightsStream::Rep::safetensors_plan() const {
  TensorPlan plan;
  plan.reserve(header->tensors.size());
  for (const auto& [name, tensor] : header->tensors) {
    const auto shape = tensor.shape();
    const auto start =
        tensor.bytes().empty()
            ? 0
            : static_cast<std::uint64_t>(tensor.bytes().data() - mapping.bytes().data());
    plan.push_back({.name = std::string(name),
                    .dtype = tensor.dtype(),
                    .shape = {shape.begin(), shape.end()},
                    .bytes = {},
                    .owner = nullptr,
                    .read =
                        [this, start](std::uint64_t offset, std::span<std::byte> out) {
                          return file.read_at(start + offset, out);
                        },
                    .is_concurrent = true});
  }
  return plan;
}

/// Reads a storage from its start to its end and compares its checksum there (TZ-11).
ReadPiece WeightsStream::Rep::storage_reader(std::size_t index) const {
  return [this, index, crc = std::uint32_t{0}](std::uint64_t offset,
                                               std::span<std::byte> out) mutable -> Result<void> {
    const auto& storage = layout.storages[index];
    FERRULE_CHECK(file.read_at(storage.file_offset + offset, out));
    if (!layout.has_checksums) return {};
    crc = format::crc32(offset == 0 ? 0 : crc, out);
    if (offset + out.size() == storage.bytes && crc != storage.crc32) {
      return format::wrong_checksum("data/" + storage.key, storage.crc32, crc);
    }
    return {};
  };
}

ReadPiece WeightsStream::Rep::tensor_reader(const TorchTensor& tensor) const {
  const auto& storage = layout.storages[tensor.storage];
  if (covers(tensor, storage)) return storage_reader(tensor.storage);
  return [this, &tensor, &storage](std::uint64_t offset, std::span<std::byte> out) {
    const std::uint64_t start = storage.file_offset + tensor.offset;
    if (tensor.is_contiguous) return file.read_at(start + offset, out);
    return format::copy_contiguous(source,
                                   {.start = start,
                                    .item_bytes = tensor.item_bytes,
                                    .shape = tensor.stored_shape,
                                    .strides = tensor.strides},
                                   offset, out);
  };
}

TensorPlan WeightsStream::Rep::tensor_plan() const {
  TensorPlan plan;
  plan.reserve(layout.tensors.size());
  for (const auto& tensor : layout.tensors) {
    plan.push_back({.name = tensor.name,
                    .dtype = tensor.dtype,
                    .shape = tensor.shape,
                    .bytes = {},
                    .owner = nullptr,
                    .read = tensor_reader(tensor),
                    .is_concurrent = true});
  }
  return plan;
}

/// The file's own storages and views; nullopt if tensors of several dtypes are in one storage,
/// which torch's storage classes cannot express.
std::optional<TorchPlan> WeightsStream::Rep::storage_plan() const {
  TorchPlan plan;
  constexpr std::size_t kNone = ~std::size_t{0};
  std::vector<std::size_t> written(layout.storages.size(), kNone);
  for (const auto& tensor : layout.tensors) {
    auto& place = written[tensor.storage];
    if (place == kNone) {
      place = plan.storages.size();
      plan.storages.push_back({.dtype = tensor.dtype,
                               .bytes = layout.storages[tensor.storage].bytes,
                               .memory = {},
                               .read = storage_reader(tensor.storage)});
    } else if (plan.storages[place].dtype != tensor.dtype) {
      return std::nullopt;
    }
    plan.tensors.push_back({.name = tensor.name,
                            .dtype = tensor.dtype,
                            .shape = tensor.shape,
                            .strides = tensor.strides,
                            .storage = place,
                            .offset = tensor.offset});
  }
  return plan;
}

/// Storages that no tensor reads from start to end are read once, only for their checksum.
Result<void> WeightsStream::Rep::check_partial_storages() const {
  std::vector<bool> whole(layout.storages.size(), false);
  for (const auto& tensor : layout.tensors) {
    if (covers(tensor, layout.storages[tensor.storage])) whole[tensor.storage] = true;
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (!whole[i]) FERRULE_CHECK(format::check_storage(source, layout, i));
  }
  return {};
}

Result<void> WeightsStream::Rep::write_torch_layout(io::OutputFile& out,
                                                    WeightsFormat format) const {
  if (format == WeightsFormat::kBin) {
    if (const auto plan = storage_plan()) return write_torch(out, *plan);
  }
  FERRULE_CHECK(check_partial_storages());
  if (format == WeightsFormat::kBin) return write_torch(out, tensor_plan());
  const std::pair<std::string, std::string> metadata[] = {{"format", "pt"}};
  return write_safetensors(out, tensor_plan(), metadata);
}

Result<WeightsStream> WeightsStream::open(io::InputFile file, const OpenOptions& options) {
  auto rep = std::make_unique<Rep>(std::move(file));
  FERRULE_TRY(const FileKind kind, kind_of(rep->file));
  Result<void> read;
  if (kind == FileKind::kSafetensors) {
    read = rep->read_safetensors(options.limits);
  } else if (auto layout = read_torch_layout(rep->source, options); layout) {
    rep->layout = std::move(layout).value();
  } else {
    read = std::move(layout).error();
  }
  if (!read) {
    auto error = std::move(read).error();
    if (error.path.empty()) error.path = rep->file.path().string();
    return error;
  }
  return WeightsStream(std::move(rep));
}

WeightsStream::WeightsStream(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
WeightsStream::WeightsStream(WeightsStream&&) noexcept = default;
WeightsStream& WeightsStream::operator=(WeightsStream&&) noexcept = default;
WeightsStream::~WeightsStream() = default;

std::uint64_t WeightsStream::tensors() const noexcept {
  return rep_->header ? rep_->header->tensors.size() : rep_->layout.tensors.size();
}

std::uint64_t WeightsStream::file_bytes() const noexcept { return rep_->file.size(); }

Result<void> WeightsStream::write(io::OutputFile& out, WeightsFormat format,
                                  unsigned threads) const {
  Result<void> wrote;
  if (!rep_->header) {
    wrote = rep_->write_torch_layout(out, format);
  } else if (format == WeightsFormat::kBin) {
    wrote = write_torch(out, rep_->safetensors_plan());
  } else {
    wrote = write_safetensors(out, rep_->safetensors_plan(), rep_->header->metadata,
                              {.threads = threads});
  }
  if (wrote) return {};
  auto error = std::move(wrote).error();
  if (error.path.empty()) error.path = rep_->file.path().string();
  return error;
}

}  // namespace ferrule::container
