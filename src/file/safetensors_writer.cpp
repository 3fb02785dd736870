// SPDX-License-Identifier: Apache-2.0
#include "ferrule/safetensors_writer.hpp"

#include <algorithm>
#include <cstring>

#include "base/checked.hpp"
#include "base/quote.hpp"
#include "base/try.hpp"
#include "file/tensor_plan.hpp"
#include "format/safetensors_header.hpp"
#include "io/write_behind.hpp"

namespace ferrule {
namespace {

using format::EncodedHeader;
using format::HeaderEntry;

Result<EncodedHeader> encode(std::span<const NamedTensor> tensors, const Metadata& metadata,
                             EmptyMetadata empty) {
  std::vector<HeaderEntry> entries;
  entries.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    entries.push_back({name, tensor.dtype(), tensor.shape()});
  }
  Metadata sorted = metadata;
  std::sort(sorted.begin(), sorted.end());
  const auto twice =
      std::adjacent_find(sorted.begin(), sorted.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice != sorted.end()) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .rule = "ST-6",
                 .message = "the metadata has the key " + base::quote(twice->first) + " twice"};
  }
  return format::encode_safetensors_header(entries, sorted, empty == EmptyMetadata::kKeep);
}

Result<void> write_stream(io::WriteBehind& out, const file::PlannedTensor& tensor) {
  const auto total = byte_size(tensor.dtype, tensor.shape);  // The header has checked it.
  for (std::uint64_t offset = 0; offset < *total;) {
    FERRULE_TRY(const auto piece, out.space(static_cast<std::size_t>(std::min<std::uint64_t>(
                                      io::WriteBehind::kMaxPiece, *total - offset))));
    FERRULE_CHECK(tensor.read(offset, piece));
    out.filled();
    offset += piece.size();
  }
  return {};
}

Error wrong_size(std::string_view name, std::uint64_t expected, std::uint64_t found) {
  return {.code = ErrorCode::kInvalidArgument,
          .rule = "ST-10",
          .message = "tensor " + base::quote(name) + " has " + std::to_string(found) +
                     " bytes, its dtype and shape need " + std::to_string(expected)};
}

template <typename Tensors, typename ToPlanned>
Result<void> write_transaction(const std::filesystem::path& path, const Tensors& tensors,
                               const Metadata& metadata, Durability durability, EmptyMetadata empty,
                               ToPlanned to_planned) {
  file::TensorPlan plan;
  plan.reserve(tensors.size());
  for (const auto& tensor : tensors) plan.push_back(to_planned(tensor));
  FERRULE_TRY(auto transaction, io::FileTransaction::begin(path, durability));
  if (auto wrote = file::write_safetensors(transaction.file(), plan, metadata, empty); !wrote) {
    auto error = std::move(wrote).error();
    if (error.path.empty()) error.path = path.string();
    return error;
  }
  return transaction.commit();
}

}  // namespace

namespace file {

Result<void> write_safetensors(io::OutputFile& out, const TensorPlan& plan,
                               std::span<const std::pair<std::string, std::string>> metadata,
                               EmptyMetadata empty_metadata) {
  std::vector<NamedTensor> views;
  views.reserve(plan.size());
  for (const auto& tensor : plan) {
    const auto bytes = byte_size(tensor.dtype, tensor.shape);
    if (!tensor.read && bytes && *bytes != tensor.bytes.size()) {
      return wrong_size(tensor.name, *bytes, tensor.bytes.size());
    }
    views.push_back({tensor.name, TensorView::trusted(tensor.dtype, tensor.shape, tensor.bytes)});
  }
  FERRULE_TRY(const auto header,
              encode(views, Metadata(metadata.begin(), metadata.end()), empty_metadata));
  const auto total = base::checked_add(header.bytes.size(), header.data_bytes);
  if (!total) {
    return Error{.code = ErrorCode::kInvalidArgument,
                 .rule = "ST-9",
                 .message = "the file would have more than 2^64 bytes"};
  }
  FERRULE_CHECK(out.reserve(*total));
  // Header and tensors in memory go out in as few system calls as the system allows.
  std::vector<std::span<const std::byte>> pieces;
  pieces.reserve(plan.size() + 1);
  pieces.push_back(std::as_bytes(std::span(header.bytes)));
  const auto write_pieces = [&] {
    const auto wrote = out.write(std::span<const std::span<const std::byte>>(pieces));
    pieces.clear();
    return wrote;
  };
  io::WriteBehind behind(out);
  for (const auto position : header.order) {
    const auto& tensor = plan[position];
    if (tensor.read) {
      if (!pieces.empty()) FERRULE_CHECK(write_pieces());
      FERRULE_CHECK(write_stream(behind, tensor));
    } else if (!tensor.bytes.empty()) {
      FERRULE_CHECK(behind.finish());
      pieces.push_back(tensor.bytes);
    }
  }
  FERRULE_CHECK(behind.finish());
  return write_pieces();
}

}  // namespace file

Result<void> write_safetensors(const std::filesystem::path& path,
                               std::span<const NamedTensor> tensors, const Metadata& metadata,
                               Durability durability, EmptyMetadata empty) {
  return write_transaction(path, tensors, metadata, durability, empty,
                           [](const NamedTensor& tensor) {
                             const auto shape = tensor.tensor.shape();
                             return file::PlannedTensor{.name = std::string(tensor.name),
                                                        .dtype = tensor.tensor.dtype(),
                                                        .shape = {shape.begin(), shape.end()},
                                                        .bytes = tensor.tensor.bytes(),
                                                        .owner = nullptr,
                                                        .read = nullptr};
                           });
}

Result<void> write_safetensors(const std::filesystem::path& path,
                               std::span<const TensorStream> tensors, const Metadata& metadata,
                               Durability durability) {
  for (const auto& tensor : tensors) {
    if (tensor.read) continue;
    return Error{.code = ErrorCode::kInvalidArgument,
                 .message = "the stream of tensor " + base::quote(tensor.name) +
                            " has no function to read it"};
  }
  return write_transaction(path, tensors, metadata, durability, EmptyMetadata::kLeaveOut,
                           [](const TensorStream& tensor) {
                             return file::PlannedTensor{.name = tensor.name,
                                                        .dtype = tensor.dtype,
                                                        .shape = tensor.shape,
                                                        .bytes = {},
                                                        .owner = nullptr,
                                                        .read = tensor.read};
                           });
}

Result<std::vector<std::byte>> serialize_safetensors(std::span<const NamedTensor> tensors,
                                                     const Metadata& metadata,
                                                     EmptyMetadata empty) {
  for (const auto& [name, tensor] : tensors) {
    const auto bytes = byte_size(tensor.dtype(), tensor.shape());
    if (bytes && *bytes != tensor.bytes().size()) {
      return wrong_size(name, *bytes, tensor.bytes().size());
    }
  }
  FERRULE_TRY(const auto header, encode(tensors, metadata, empty));
  std::vector<std::byte> out;
  out.reserve(header.bytes.size() + static_cast<std::size_t>(header.data_bytes));
  const auto append = [&out](std::span<const std::byte> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
  };
  append(std::as_bytes(std::span(header.bytes)));
  for (const auto position : header.order) append(tensors[position].tensor.bytes());
  return out;
}

}  // namespace ferrule
