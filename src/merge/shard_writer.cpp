// SPDX-License-Identifier: Apache-2.0
#include "merge/shard_writer.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/parallel.hpp"
#include "base/try.hpp"
#include "container/tensor_plan.hpp"
#include "format/safetensors/safetensors_header.hpp"
#include "merge/tensor_maker.hpp"

namespace ferrule::merging {
namespace {

/// Where a tensor's bytes go.
struct Job {
  std::unique_ptr<TensorMaker> maker;
  std::uint64_t offset = 0;
};

struct Range {
  const Job* job;
  std::size_t first_row;
  std::size_t rows;
};

/// Header and place of each tensor in a safetensors file.
struct Layout {
  std::string header;
  std::vector<std::uint64_t> offsets;  ///< Parallel to the shard's tensors.
  std::uint64_t file_bytes = 0;
};

std::uint64_t bytes_of(const OutputTensor& tensor) {
  return byte_size(tensor.dtype, tensor.source->shape()).value_or(0);
}

Result<Layout> lay_out(const OutputShard& shard) {
  Layout layout;
  layout.offsets.resize(shard.tensors.size());
  if (!shard.new_header) {
    layout.header.resize(static_cast<std::size_t>(shard.file->data_start));
    FERRULE_CHECK(shard.file->input.read_at(
        0, std::as_writable_bytes(std::span(layout.header.data(), layout.header.size()))));
    for (std::size_t i = 0; i < shard.tensors.size(); ++i) {
      layout.offsets[i] = shard.tensors[i].source->offset;
    }
    layout.file_bytes = shard.file->input.size();
    return layout;
  }
  std::vector<format::HeaderEntry> entries;
  for (const auto& tensor : shard.tensors) {
    entries.push_back(
        {.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.source->shape()});
  }
  FERRULE_TRY(auto encoded, format::encode_safetensors_header(entries, shard.file->metadata,
                                                              shard.file->has_metadata));
  auto offset = static_cast<std::uint64_t>(encoded.bytes.size());
  for (const auto i : encoded.order) {
    layout.offsets[i] = offset;
    offset += bytes_of(shard.tensors[i]);
  }
  layout.header = std::move(encoded.bytes);
  layout.file_bytes = offset;
  return layout;
}

/// Makes and writes the ranges of some tensors, several at a time.
class RangeWriter {
 public:
  RangeWriter(io::OutputFile& out, unsigned threads) : out_(out), threads_(threads) {}

  Result<void> run(std::span<const Range> ranges) {
    base::parallel_for(ranges.size(), threads_, [&](std::size_t i) {
      {
        const std::lock_guard lock(mutex_);
        if (failure_) return;
      }
      auto done = write(ranges[i]);
      if (done) return;
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::move(done).error();
    });
    if (failure_) return *failure_;
    return {};
  }

 private:
  Result<void> write(const Range& range) {
    thread_local std::vector<std::byte> bytes;
    FERRULE_CHECK(range.job->maker->make(range.first_row, range.rows, bytes));
    const auto offset = range.job->offset + range.first_row * range.job->maker->row_bytes();
    return out_.write_at(offset, bytes);
  }

  io::OutputFile& out_;
  unsigned threads_;
  std::mutex mutex_;
  std::optional<Error> failure_;
};

Result<void> write_safetensors(const OutputShard& shard, const ShardOptions& options,
                               io::OutputFile& out) {
  FERRULE_TRY(const auto layout, lay_out(shard));
  FERRULE_CHECK(out.reserve(layout.file_bytes));
  const auto header = std::as_bytes(std::span(layout.header));
  FERRULE_CHECK(out.write_at(0, header));
  const unsigned threads =
      options.threads == 0 ? std::max(1U, std::thread::hardware_concurrency()) : options.threads;
  RangeWriter writer(out, threads);
  std::vector<Job> jobs(shard.tensors.size());
  for (std::size_t next = 0; next < jobs.size();) {
    // Enough tensors at once that all threads have work.
    std::vector<Range> ranges;
    const auto first = next;
    Result<void> begun;
    for (; next < jobs.size() && ranges.size() < std::size_t{8} * threads; ++next) {
      auto& job = jobs[next];
      job.maker = std::make_unique<TensorMaker>(shard.tensors[next], *shard.file, options.once);
      job.offset = layout.offsets[next];
      begun = job.maker->begin();
      if (!begun) break;
      for (std::size_t row = 0; row < job.maker->rows(); row += job.maker->tile_rows()) {
        ranges.push_back({&job, row, std::min(job.maker->tile_rows(), job.maker->rows() - row)});
      }
    }
    auto done = begun ? writer.run(ranges) : std::move(begun);
    for (auto i = first; i < next; ++i) {
      jobs[i].maker->end();
      jobs[i].maker.reset();
    }
    FERRULE_CHECK(std::move(done));
  }
  return {};
}

/// The bytes of a tensor in order, made tile by tile.
class Reader {
 public:
  Reader(const OutputTensor& tensor, const WeightsFile& file, bool once)
      : maker_(tensor, file, once) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { maker_.end(); }

  Result<void> read(std::uint64_t offset, std::span<std::byte> out) {
    if (offset == 0) FERRULE_CHECK(maker_.begin());
    while (!out.empty()) {
      if (at_ == tile_.size()) FERRULE_CHECK(next_tile());
      const auto count = std::min(out.size(), tile_.size() - at_);
      std::copy_n(tile_.begin() + static_cast<std::ptrdiff_t>(at_), count, out.begin());
      at_ += count;
      out = out.subspan(count);
    }
    return {};
  }

 private:
  Result<void> next_tile() {
    const auto rows = std::min(maker_.tile_rows(), maker_.rows() - row_);
    FERRULE_CHECK(maker_.make(row_, rows, tile_));
    row_ += rows;
    at_ = 0;
    return {};
  }

  TensorMaker maker_;
  std::vector<std::byte> tile_;
  std::size_t at_ = 0;
  std::size_t row_ = 0;
};

Result<void> write_torch(const OutputShard& shard, const ShardOptions& options,
                         io::OutputFile& out) {
  container::TensorPlan plan;
  for (const auto& tensor : shard.tensors) {
    if (tensor.plan == nullptr && tensor.dtype == tensor.source->dtype() &&
        tensor.source->quantized == nullptr) {
      plan.push_back(container::stream_of(tensor.name, tensor.source->view));
      continue;
    }
    auto reader = std::make_shared<Reader>(tensor, *shard.file, options.once);
    const auto shape = tensor.source->shape();
    TensorStream stream;
    stream.name = tensor.name;
    stream.dtype = tensor.dtype;
    stream.shape.assign(shape.begin(), shape.end());
    stream.read = [reader](std::uint64_t offset, std::span<std::byte> to) {
      return reader->read(offset, to);
    };
    plan.push_back(std::move(stream));
  }
  return container::write_torch(out, plan);
}

}  // namespace

std::uint64_t OutputShard::data_bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& tensor : tensors) sum += bytes_of(tensor);
  return sum;
}

Result<void> write_shard(const OutputShard& shard, const ShardOptions& options,
                         io::OutputFile& out) {
  if (shard.file->is_torch) return write_torch(shard, options, out);
  return write_safetensors(shard, options, out);
}

}  // namespace ferrule::merging
