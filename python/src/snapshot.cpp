// SPDX-License-Identifier: Apache-2.0
#include "snapshot.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <thread>
#include <utility>

namespace ferrule::python {
namespace {

constexpr std::size_t kAlignment = 64;
/// Below this a second thread costs more than it copies.
constexpr std::size_t kBytesPerThread = std::size_t{8} << 20;
constexpr std::size_t kMaxThreads = 4;

struct Piece {
  const std::byte* from;
  std::byte* to;
  std::size_t size;
};

std::mutex idle_mutex;
/// One is kept: savers of a process follow each other. The lock guards it.
SnapshotBuffer idle_buffer;

std::optional<SnapshotBuffer> take_buffer(std::size_t size) {
  {
    const std::scoped_lock lock(idle_mutex);
    auto buffer = std::exchange(idle_buffer, {});
    if (buffer.size >= size) return buffer;
  }
  SnapshotBuffer buffer;
  buffer.bytes.reset(new (std::nothrow) std::byte[size]);
  if (buffer.bytes == nullptr) return std::nullopt;
  buffer.size = size;
  return buffer;
}

void give_back(SnapshotBuffer buffer) {
  const std::scoped_lock lock(idle_mutex);
  if (buffer.size > idle_buffer.size) idle_buffer = std::move(buffer);
}

void copy_pieces(std::span<const Piece> pieces) {
  for (const auto& piece : pieces) std::memcpy(piece.to, piece.from, piece.size);
}

/// Cuts large pieces, so that every thread gets the same share.
std::vector<Piece> cut(const std::vector<Piece>& pieces, std::size_t most) {
  std::vector<Piece> out;
  out.reserve(pieces.size());
  for (auto piece : pieces) {
    while (piece.size > most) {
      out.push_back({piece.from, piece.to, most});
      piece = {piece.from + most, piece.to + most, piece.size - most};
    }
    if (piece.size > 0) out.push_back(piece);
  }
  return out;
}

void copy_all(const std::vector<Piece>& pieces, std::size_t total) {
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const auto count = std::min({cores, kMaxThreads, total / kBytesPerThread + 1});
  if (count == 1) return copy_pieces(pieces);
  const auto parts = cut(pieces, kBytesPerThread / 4);
  std::vector<std::thread> threads;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto end = parts.size() * (i + 1) / count;
    const auto share = std::span(parts).subspan(begin, end - begin);
    begin = end;
    if (i + 1 == count) {
      copy_pieces(share);
      break;
    }
    try {
      threads.emplace_back([share] { copy_pieces(share); });
    } catch (const std::system_error&) {
      copy_pieces(share);  // No thread to be had: this one does it.
    }
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace

std::shared_ptr<Snapshot> Snapshot::of(const TensorSource& source) {
  std::shared_ptr<Snapshot> snapshot(new Snapshot);
  std::map<std::pair<const std::byte*, std::size_t>, std::size_t> places;
  std::vector<std::size_t> offsets;
  std::size_t size = 0;
  for (const auto& [name, view] : source.tensors()) {
    const auto bytes = view.bytes();
    const auto [place, fresh] = places.try_emplace({bytes.data(), bytes.size()}, size);
    offsets.push_back(place->second);
    if (!fresh) continue;
    snapshot->byte_count_ += bytes.size();
    size += (bytes.size() + kAlignment - 1) / kAlignment * kAlignment;
  }
  auto buffer = take_buffer(size);
  if (!buffer) return nullptr;
  snapshot->buffer_ = std::move(*buffer);
  std::vector<Piece> pieces;
  for (const auto& [place, offset] : places) {
    pieces.push_back({place.first, snapshot->buffer_.bytes.get() + offset, place.second});
  }
  const auto views = source.tensors();
  snapshot->names_.reserve(views.size());
  snapshot->shapes_.reserve(views.size());
  for (std::size_t i = 0; i < views.size(); ++i) {
    const auto& [name, view] = views[i];
    const auto& own = snapshot->names_.emplace_back(name);
    const auto& shape = snapshot->shapes_.emplace_back(view.shape().begin(), view.shape().end());
    const std::span<const std::byte> bytes(snapshot->buffer_.bytes.get() + offsets[i],
                                           view.bytes().size());
    snapshot->tensors_.push_back({own, TensorView::make(view.dtype(), shape, bytes).value()});
    snapshot->index_.emplace(own, i);
  }
  copy_all(pieces, size);
  return snapshot;
}

Snapshot::~Snapshot() { give_back(std::move(buffer_)); }

std::optional<TensorView> Snapshot::find(std::string_view name) const& noexcept {
  const auto found = index_.find(name);
  if (found == index_.end()) return std::nullopt;
  return tensors_[found->second].tensor;
}

}  // namespace ferrule::python
