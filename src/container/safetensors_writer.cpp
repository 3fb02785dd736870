// SPDX-License-Identifier: Apache-2.0
// Writes a .safetensors file front to back (docs/rules/ST.md, rules marked "Writer"):
//
//   +--------+--------------------------+---------+----------+----------+-----
//   | length | header: one JSON object  | spaces  | tensor 0 | tensor 1 | ...
//   | u64 LE | __metadata__, then names | to 8    |          |          |
//   +--------+--------------------------+---------+----------+----------+-----
//
// 1. Compare the bytes that each tensor has with its dtype and shape (ST-10).
// 2. Encode the header; it decides the order of the data: by descending rank of the dtype, then by
//    name, without gaps (ST-7, ST-16). Names and metadata must be unique UTF-8 (ST-5, ST-6, ST-17).
// 3. Reserve the size of the whole file (ST-9), so that a full disk is noticed before anything is
//    written.
// 4. Write the header. Tensors in memory follow in as few system calls as possible, streams through
//    a buffer of a few megabytes.
//
// With two threads, and if every tensor is a stream that any thread may read, step 4 divides the
// data into stretches of about 2 MiB: while one thread reads a stretch, the other writes one, each
// at its own place.
#include "ferrule/safetensors_writer.hpp"

#include <algorithm>
#include <atomic>
#include <optional>

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
/// More do not help: the kernel lets one thread at a time write to a file.
constexpr unsigned kMaxThreads = 2;

using format::EncodedHeader;
using format::HeaderEntry;

Error wrong_size(std::string_view name, std::uint64_t expected, std::uint64_t found) {
  return base::invalid("ST-10", "tensor " + quote(name) + " has " + std::to_string(found) +
                                    " bytes, its dtype and shape need " + std::to_string(expected));
}

/// The header of a file of these tensors, whose sizes are checked on the way.
template <typename Tensors, typename ToEntry>
Result<EncodedHeader> encode(const Tensors& tensors,
                             std::span<const std::pair<std::string, std::string>> metadata,
                             EmptyMetadata empty, ToEntry to_entry) {
  std::vector<HeaderEntry> entries;
  entries.reserve(tensors.size());
  for (const auto& tensor : tensors) {
    const auto [entry, content] = to_entry(tensor);
    const auto bytes = byte_size(entry.dtype, entry.shape);
    if (content && bytes && *bytes != *content) return wrong_size(entry.name, *bytes, *content);
    entries.push_back(entry);
  }
  Metadata sorted(metadata.begin(), metadata.end());
  std::sort(sorted.begin(), sorted.end());
  const auto twice =
      std::adjacent_find(sorted.begin(), sorted.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice != sorted.end()) {
    return base::invalid("ST-6", "the metadata has the key " + quote(twice->first) + " twice");
  }
  return format::encode_safetensors_header(entries, sorted, empty == EmptyMetadata::kKeep);
}

/// What the header says of a tensor, and how many bytes of it are in memory (nullopt: none, they
/// will be read).
using Described = std::pair<HeaderEntry, std::optional<std::uint64_t>>;

Described describe_view(const NamedTensor& tensor) {
  const auto& view = tensor.tensor;
  return {{tensor.name, view.dtype(), view.shape()}, view.bytes().size()};
}

Described describe_stream(const TensorStream& tensor) {
  return {{tensor.name, tensor.dtype, tensor.shape},
          tensor.read ? std::nullopt : std::optional<std::uint64_t>(tensor.bytes.size())};
}

Result<void> write_stream(io::OutputFile& out, const TensorStream& tensor,
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

void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::vector<Stretch> stretches(std::span<const TensorStream> plan, const EncodedHeader& header) {
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

Result<void> write_stretch(io::OutputFile& out, std::span<const TensorStream> plan,
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
Result<void> write_concurrently(io::OutputFile& out, std::span<const TensorStream> plan,
                                const EncodedHeader& header, unsigned threads) {
  FERRULE_CHECK(out.write(std::as_bytes(std::span(header.bytes))));
  const auto all = stretches(plan, header);
  std::vector<Result<void>> results(all.size());
  std::atomic<bool> failed{false};
  const auto most = threads == 0 ? kMaxThreads : std::min(threads, kMaxThreads);
  base::parallel_for(all.size(), most, [&](std::size_t i) {
    if (failed) return;
    results[i] = write_stretch(out, plan, all[i]);
    if (!results[i]) failed = true;
  });
  for (auto& result : results) FERRULE_CHECK(std::move(result));
  return {};
}

bool is_worth_threads(std::span<const TensorStream> plan, const EncodedHeader& header) {
  return header.data_bytes >= 4 * kStretch &&
         std::all_of(plan.begin(), plan.end(),
                     [](const auto& tensor) { return tensor.read && tensor.is_concurrent; });
}

}  // namespace

namespace container {

TensorStream stream_of(std::string_view name, const TensorView& tensor) {
  const auto shape = tensor.shape();
  return {.name = std::string(name),
          .dtype = tensor.dtype(),
          .shape = {shape.begin(), shape.end()},
          .bytes = tensor.bytes()};
}

Result<void> write_safetensors(io::OutputFile& out, std::span<const TensorStream> plan,
                               std::span<const std::pair<std::string, std::string>> metadata,
                               const WriteOptions& options) {
  FERRULE_TRY(const auto header, encode(plan, metadata, options.empty_metadata, describe_stream));
  const auto total = base::checked_add(header.bytes.size(), header.data_bytes);
  if (!total) {
    return base::invalid("ST-9", "the file would have more than 2^64 bytes");
  }
  FERRULE_CHECK(out.reserve(*total));
  if (options.threads != 1 && is_worth_threads(plan, header)) {
    return write_concurrently(out, plan, header, options.threads);
  }
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
                               std::span<const TensorStream> tensors, const Metadata& metadata,
                               const WriteOptions& options) {
  FERRULE_TRY(auto transaction, io::FileTransaction::begin(path, options.durability));
  if (auto wrote = container::write_safetensors(transaction.file(), tensors, metadata, options);
      !wrote) {
    auto error = std::move(wrote).error();
    if (error.path.empty()) error.path = path.string();
    return error;
  }
  return transaction.commit();
}

Result<void> write_safetensors(const std::filesystem::path& path,
                               std::span<const NamedTensor> tensors, const Metadata& metadata,
                               const WriteOptions& options) {
  container::TensorPlan plan;
  plan.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) plan.push_back(container::stream_of(name, tensor));
  return write_safetensors(path, plan, metadata, options);
}

Result<std::vector<std::byte>> serialize_safetensors(std::span<const NamedTensor> tensors,
                                                     const Metadata& metadata,
                                                     EmptyMetadata empty) {
  FERRULE_TRY(const auto header, encode(tensors, metadata, empty, describe_view));
  std::vector<std::byte> out;
  out.reserve(header.bytes.size() + static_cast<std::size_t>(header.data_bytes));
  append(out, std::as_bytes(std::span(header.bytes)));
  for (const auto position : header.order) append(out, tensors[position].tensor.bytes());
  return out;
}

Result<std::vector<std::byte>> serialize_safetensors(std::span<const TensorStream> tensors,
                                                     const Metadata& metadata,
                                                     EmptyMetadata empty) {
  FERRULE_TRY(const auto header, encode(tensors, metadata, empty, describe_stream));
  const auto total = base::checked_add(header.bytes.size(), header.data_bytes);
  std::vector<std::byte> out;
  if (!total || *total > out.max_size()) {
    return base::over_limit("ST-9", "the file would have " + std::to_string(header.data_bytes) +
                                        " bytes, which memory cannot hold");
  }
  out.reserve(static_cast<std::size_t>(*total));
  append(out, std::as_bytes(std::span(header.bytes)));
  for (const auto position : header.order) {
    const auto& tensor = tensors[position];
    if (!tensor.read) {
      append(out, tensor.bytes);
      continue;
    }
    const auto bytes = static_cast<std::size_t>(*byte_size(tensor.dtype, tensor.shape));
    for (std::size_t offset = 0; offset < bytes;) {
      const auto piece = std::min(kStreamPiece, bytes - offset);
      const auto at = out.size();
      out.resize(at + piece);
      FERRULE_CHECK(tensor.read(offset, std::span(out).subspan(at)));
      offset += piece;
    }
  }
  return out;
}

}  // namespace ferrule
