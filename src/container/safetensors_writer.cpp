// SPDX-License-Identifier: Apache-2.0
#include "ferrule/safetensors_writer.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/parallel.hpp"
#include "base/try.hpp"
#include "container/tensor_plan.hpp"
#include "ferrule/text.hpp"
#include "format/safetensors/safetensors_header.hpp"
#include "io/transaction/file_transaction.hpp"

namespace ferrule {
namespace {

/// What a stream is asked for at a time.
constexpr std::size_t kStreamPiece = std::size_t{2} << 20;

/// Of several threads, each: small enough for a core's cache.
constexpr std::size_t kConcurrentPiece = std::size_t{512} << 10;
constexpr std::uint64_t kStretch = std::uint64_t{2} << 20;
/// The kernel lets one thread at a time write to a file.
constexpr unsigned kConcurrentThreads = 2;

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
    return base::invalid("ST-6", "the metadata has the key " + quote(twice->first) + " twice");
  }
  return format::encode_safetensors_header(entries, sorted, empty == EmptyMetadata::kKeep);
}

Result<void> write_stream(io::OutputFile& out, const container::PlannedTensor& tensor,
                          std::vector<std::byte>& buffer) {
  const auto total = byte_size(tensor.dtype, tensor.shape);  // The header has checked it.
  for (std::uint64_t offset = 0; offset < *total;) {
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(kStreamPiece, *total - offset));
    if (buffer.size() < length) buffer.resize(length);
    const std::span<std::byte> piece(buffer.data(), length);
    FERRULE_CHECK(tensor.read(offset, piece));
    FERRULE_CHECK(out.write(piece));
    offset += length;
  }
  return {};
}

/// Tensors that follow each other in the file, about kStretch bytes of them.
struct Stretch {
  std::uint64_t start = 0;  ///< In the file.
  std::span<const std::size_t> tensors;
};

std::vector<Stretch> stretches(const container::TensorPlan& plan, const EncodedHeader& header) {
  std::vector<Stretch> all;
  const std::span<const std::size_t> order(header.order);
  std::uint64_t at = header.bytes.size();
  for (std::size_t first = 0; first < order.size();) {
    const auto start = at;
    std::size_t count = 0;
    while (first + count < order.size() && at - start < kStretch) {
      const auto& tensor = plan[order[first + count]];
      at += *byte_size(tensor.dtype, tensor.shape);
      ++count;
    }
    all.push_back({start, order.subspan(first, count)});
    first += count;
  }
  return all;
}

Result<void> write_stretch(io::OutputFile& out, const container::TensorPlan& plan,
                           const Stretch& stretch) {
  std::vector<std::byte> buffer(kConcurrentPiece);
  std::uint64_t at = stretch.start;
  std::size_t used = 0;
  for (const auto position : stretch.tensors) {
    const auto& tensor = plan[position];
    const auto total = byte_size(tensor.dtype, tensor.shape);
    for (std::uint64_t offset = 0; offset < *total;) {
      const auto length =
          static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size() - used, *total - offset));
      FERRULE_CHECK(tensor.read(offset, std::span(buffer).subspan(used, length)));
      used += length;
      offset += length;
      if (used < buffer.size()) continue;
      FERRULE_CHECK(out.write_at(at, buffer));
      at += used;
      used = 0;
    }
  }
  return out.write_at(at, std::span(buffer).first(used));
}

/// Half of a copy from file to file is reading and checking, the other half the kernel's copy into
/// the output, one at a time: two threads do one while the other does the other.
Result<void> write_concurrently(io::OutputFile& out, const container::TensorPlan& plan,
                                const EncodedHeader& header) {
  FERRULE_CHECK(out.write(std::as_bytes(std::span(header.bytes))));
  const auto all = stretches(plan, header);
  std::vector<Result<void>> results(all.size());
  std::atomic<bool> failed{false};
  base::parallel_for(all.size(), kConcurrentThreads, [&](std::size_t i) {
    if (failed) return;
    results[i] = write_stretch(out, plan, all[i]);
    if (!results[i]) failed = true;
  });
  for (auto& result : results) FERRULE_CHECK(std::move(result));
  return {};
}

bool is_worth_threads(const container::TensorPlan& plan, const EncodedHeader& header) {
  return header.data_bytes >= 4 * kStretch &&
         std::all_of(plan.begin(), plan.end(),
                     [](const auto& tensor) { return tensor.read && tensor.is_concurrent; });
}

Error wrong_size(std::string_view name, std::uint64_t expected, std::uint64_t found) {
  return base::invalid("ST-10", "tensor " + quote(name) + " has " + std::to_string(found) +
                                    " bytes, its dtype and shape need " + std::to_string(expected));
}

template <typename Tensors, typename ToPlanned>
Result<void> write_transaction(const std::filesystem::path& path, const Tensors& tensors,
                               const Metadata& metadata, Durability durability, EmptyMetadata empty,
                               ToPlanned to_planned) {
  container::TensorPlan plan;
  plan.reserve(tensors.size());
  for (const auto& tensor : tensors) plan.push_back(to_planned(tensor));
  FERRULE_TRY(auto transaction, io::FileTransaction::begin(path, durability));
  if (auto wrote = container::write_safetensors(transaction.file(), plan, metadata, empty);
      !wrote) {
    auto error = std::move(wrote).error();
    if (error.path.empty()) error.path = path.string();
    return error;
  }
  return transaction.commit();
}

}  // namespace

namespace container {

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
    return base::invalid("ST-9", "the file would have more than 2^64 bytes");
  }
  FERRULE_CHECK(out.reserve(*total));
  if (is_worth_threads(plan, header)) return write_concurrently(out, plan, header);
  // Header and tensors in memory go out in as few system calls as the system allows.
  std::vector<std::span<const std::byte>> pieces;
  pieces.reserve(plan.size() + 1);
  pieces.push_back(std::as_bytes(std::span(header.bytes)));
  std::vector<std::byte> buffer;
  for (const auto position : header.order) {
    const auto& tensor = plan[position];
    if (!tensor.read) {
      if (!tensor.bytes.empty()) pieces.push_back(tensor.bytes);
      continue;
    }
    FERRULE_CHECK(out.write(std::span<const std::span<const std::byte>>(pieces)));
    pieces.clear();
    FERRULE_CHECK(write_stream(out, tensor, buffer));
  }
  return out.write(std::span<const std::span<const std::byte>>(pieces));
}

}  // namespace container

Result<void> write_safetensors(const std::filesystem::path& path,
                               std::span<const NamedTensor> tensors, const Metadata& metadata,
                               Durability durability, EmptyMetadata empty) {
  return write_transaction(path, tensors, metadata, durability, empty,
                           [](const NamedTensor& tensor) {
                             const auto shape = tensor.tensor.shape();
                             return container::PlannedTensor{.name = std::string(tensor.name),
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
    return base::invalid("the stream of tensor " + quote(tensor.name) +
                         " has no function to read it");
  }
  return write_transaction(path, tensors, metadata, durability, EmptyMetadata::kLeaveOut,
                           [](const TensorStream& tensor) {
                             return container::PlannedTensor{.name = tensor.name,
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
