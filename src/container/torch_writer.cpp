// SPDX-License-Identifier: Apache-2.0
// Writes the zip file that torch.save makes of a state dict, by the rules of docs/rules/TZ.md:
//
//   archive/data.pkl            the pickle: names, dtypes, shapes, strides, storage keys  (TZ-12)
//   archive/.format_version     "1"
//   archive/.storage_alignment  "64"
//   archive/byteorder           "little"                                                  (TZ-14)
//   archive/data/0, data/1 ...  the storages' bytes, each at a multiple of 64             (TZ-16)
//   archive/version             "3\n"                                                     (TZ-13)
//   archive/.data/serialization_id  digits that follow from names and content
//   central directory, end records                                                  (TZ-1 to TZ-4)
//
// Entries are stored, not compressed (TZ-7), without a gap between them (TZ-8). The CRC-32 of one
// (TZ-11) is known only after its content was written, so it is in a data descriptor after it
// (TZ-6).
//
// 1. Check names and sizes.
// 2. Find tensors that overlap in memory: they become one storage, as in torch, if they have one
//    dtype and start at whole elements of it. Otherwise only equal ones share.
// 3. Encode the pickle, which numbers the storages in the order in which tensors first use them.
// 4. Write the entries front to back; streams pass through a small buffer.
#include "ferrule/torch_writer.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"
#include "container/tensor_plan.hpp"
#include "container/torch_plan.hpp"
#include "ferrule/text.hpp"
#include "format/torch/torch_encode.hpp"
#include "format/zip/crc32.hpp"
#include "io/output_file.hpp"
#include "io/transaction/file_transaction.hpp"

namespace ferrule {
namespace container {
namespace {

constexpr std::string_view kRoot = "archive";
/// Small enough for a core's cache: the checksum and the write read it from there.
constexpr std::size_t kPiece = std::size_t{512} << 10;

std::uint64_t item_bytes(Dtype dtype) noexcept {
  return std::max<std::uint64_t>(1, bit_width(dtype) / 8);
}

/// Finds tensors that share memory and gives them one storage.
class StorageFinder {
 public:
  explicit StorageFinder(std::span<const TensorStream> plan) : plan_(plan) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < plan.size(); ++i) {
      if (!plan[i].read && !plan[i].bytes.empty()) order.push_back(i);
    }
    std::sort(order.begin(), order.end(), [&plan](std::size_t a, std::size_t b) {
      const auto* x = plan[a].bytes.data();
      const auto* y = plan[b].bytes.data();
      return x != y ? std::less<>()(x, y) : a < b;
    });
    places_.resize(plan.size());
    for (std::size_t i = 0; i < order.size();) i = add_group(order, i);
  }

  TorchPlan make_plan() const {
    TorchPlan out;
    out.tensors.reserve(plan_.size());
    std::vector<std::size_t> storage_of(next_group_, kNone);
    for (std::size_t i = 0; i < plan_.size(); ++i) {
      const auto& tensor = plan_[i];
      const auto& place = places_[i];
      TorchPlan::Tensor row{
          .name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape, .strides = {}};
      const bool shared = place.group != kNone;
      if (!shared || storage_of[place.group] == kNone) {
        if (shared) storage_of[place.group] = out.storages.size();
        row.storage = out.storages.size();
        const auto streamed = byte_size(tensor.dtype, tensor.shape).value_or(0);
        out.storages.push_back({.dtype = tensor.dtype,
                                .bytes = tensor.read ? streamed : place.memory.size(),
                                .memory = place.memory,
                                .read = tensor.read});
      } else {
        row.storage = storage_of[place.group];
      }
      if (shared) {
        row.offset = static_cast<std::uint64_t>(tensor.bytes.data() - place.memory.data());
      }
      out.tensors.push_back(std::move(row));
    }
    return out;
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};

  struct Sharing {
    /// Tensors of one group share a storage; streams and empty tensors are in none.
    std::size_t group = kNone;
    std::span<const std::byte> memory;
  };

  /// The tensors from `first` on that overlap; returns the position after them.
  std::size_t add_group(const std::vector<std::size_t>& order, std::size_t first) {
    const auto& start = plan_[order[first]];
    const std::byte* end = start.bytes.data() + start.bytes.size();
    bool fits = true;
    std::size_t last = first + 1;
    for (; last < order.size() && std::less<>()(plan_[order[last]].bytes.data(), end); ++last) {
      const auto& tensor = plan_[order[last]];
      const auto offset = static_cast<std::uint64_t>(tensor.bytes.data() - start.bytes.data());
      fits = fits && tensor.dtype == start.dtype && offset % item_bytes(tensor.dtype) == 0;
      end = std::max(end, tensor.bytes.data() + tensor.bytes.size(), std::less<>());
    }
    if (fits) {
      for (std::size_t i = first; i < last; ++i) {
        places_[order[i]] = {next_group_, {start.bytes.data(), end}};
      }
      ++next_group_;
      return last;
    }
    // A storage has one dtype: if views of other dtypes overlap, only equal ones share.
    std::map<std::tuple<const std::byte*, std::size_t, Dtype>, std::size_t> groups;
    for (std::size_t i = first; i < last; ++i) {
      const auto& tensor = plan_[order[i]];
      const auto [known, is_new] =
          groups.try_emplace({tensor.bytes.data(), tensor.bytes.size(), tensor.dtype}, next_group_);
      if (is_new) ++next_group_;
      places_[order[i]] = {known->second, tensor.bytes};
    }
    return last;
  }

  std::span<const TensorStream> plan_;
  std::vector<Sharing> places_;
  std::size_t next_group_ = 0;
};

/// The archive while it is written.
class ArchiveWriter {
 public:
  explicit ArchiveWriter(io::OutputFile& out) : out_(out) {}

  Result<void> add(std::string_view name, std::span<const std::byte> content) {
    const std::string full = std::string(kRoot) + "/" + std::string(name);
    const std::string before = zip_.begin_entry(full, content.size());
    std::uint32_t crc = 0;
    bool first = true;
    // In pieces, so that the write finds in the cache what the checksum has read.
    for (std::size_t at = 0; first || at < content.size(); at += kPiece) {
      const auto piece = content.subspan(at, std::min(kPiece, content.size() - at));
      crc = format::crc32(crc, piece);
      const std::span<const std::byte> pieces[] = {
          first ? std::as_bytes(std::span(before)) : std::span<const std::byte>(), piece};
      FERRULE_CHECK(out_.write(std::span<const std::span<const std::byte>>(pieces)));
      first = false;
    }
    return end(crc);
  }

  Result<void> add(std::string_view name, std::uint64_t bytes,
                   const std::function<Result<void>(std::uint64_t, std::span<std::byte>)>& read) {
    const std::string full = std::string(kRoot) + "/" + std::string(name);
    const std::string before = zip_.begin_entry(full, bytes);
    FERRULE_CHECK(out_.write(std::as_bytes(std::span(before))));
    if (buffer_.empty()) buffer_.resize(kPiece);
    std::uint32_t crc = 0;
    for (std::uint64_t at = 0; at < bytes; at += kPiece) {
      const auto piece = std::span(buffer_).first(
          static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, bytes - at)));
      FERRULE_CHECK(read(at, piece));
      crc = format::crc32(crc, piece);
      FERRULE_CHECK(out_.write(piece));
    }
    return end(crc);
  }

  Result<void> finish() {
    const std::string last = zip_.finish(kRoot);
    return out_.write(std::as_bytes(std::span(last)));
  }

 private:
  Result<void> end(std::uint32_t crc) {
    const std::string behind = zip_.end_entry(crc);
    return out_.write(std::as_bytes(std::span(behind)));
  }

  io::OutputFile& out_;
  format::TorchZipEncoder zip_;
  std::vector<std::byte> buffer_;
};

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

Result<void> check_names(std::span<const TensorStream> plan) {
  std::unordered_set<std::string_view> names;
  for (const auto& tensor : plan) {
    const auto refuse = [&tensor](const std::string& why) {
      return base::invalid("tensor " + quote(tensor.name) + " " + why);
    };
    if (!base::is_utf8(tensor.name)) return refuse("has a name that is not UTF-8");
    if (!names.insert(tensor.name).second) return refuse("appears twice");
    const auto bytes = byte_size(tensor.dtype, tensor.shape);
    if (!bytes || (!tensor.read && *bytes != tensor.bytes.size())) {
      return refuse("has " + std::to_string(tensor.bytes.size()) +
                    " bytes, which do not fit its dtype and shape");
    }
  }
  return {};
}

}  // namespace

Result<void> write_torch(io::OutputFile& out, const TorchPlan& plan, std::string_view key) {
  std::vector<format::TorchOutputStorage> storages;
  std::vector<format::TorchOutputTensor> tensors;
  storages.reserve(plan.storages.size());
  tensors.reserve(plan.tensors.size());
  for (const auto& storage : plan.storages) storages.push_back({storage.dtype, storage.bytes});
  for (const auto& tensor : plan.tensors) {
    tensors.push_back({.name = tensor.name,
                       .dtype = tensor.dtype,
                       .shape = tensor.shape,
                       .strides = tensor.strides,
                       .storage = tensor.storage,
                       .offset = tensor.offset});
  }
  FERRULE_TRY(const auto pickle, format::encode_torch_pickle(storages, tensors, key));
  std::uint64_t content = pickle.size();
  for (const auto& storage : plan.storages) content += storage.bytes;
  FERRULE_CHECK(out.reserve(content));
  ArchiveWriter archive(out);
  FERRULE_CHECK(archive.add("data.pkl", as_bytes(pickle)));
  FERRULE_CHECK(archive.add(".format_version", as_bytes("1")));
  FERRULE_CHECK(archive.add(".storage_alignment", as_bytes("64")));
  FERRULE_CHECK(archive.add("byteorder", as_bytes("little")));
  for (std::size_t i = 0; i < plan.storages.size(); ++i) {
    const auto& storage = plan.storages[i];
    const std::string name = "data/" + std::to_string(i);
    if (storage.read) {
      FERRULE_CHECK(archive.add(name, storage.bytes, storage.read));
    } else {
      FERRULE_CHECK(archive.add(name, storage.memory));
    }
  }
  FERRULE_CHECK(archive.add("version", as_bytes("3\n")));
  return archive.finish();
}

Result<void> write_torch(io::OutputFile& out, std::span<const TensorStream> plan,
                         std::string_view key) {
  FERRULE_CHECK(check_names(plan));
  return write_torch(out, StorageFinder(plan).make_plan(), key);
}

}  // namespace container

Result<void> write_torch_file(const std::filesystem::path& path,
                              std::span<const TensorStream> tensors, const WriteOptions& options) {
  FERRULE_TRY(auto transaction, io::FileTransaction::begin(path, options.durability));
  if (auto wrote = container::write_torch(transaction.file(), tensors); !wrote) {
    auto error = std::move(wrote).error();
    if (error.path.empty()) error.path = path.string();
    return error;
  }
  return transaction.commit();
}

Result<void> write_torch_file(const std::filesystem::path& path,
                              std::span<const NamedTensor> tensors, const WriteOptions& options) {
  container::TensorPlan plan;
  plan.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) plan.push_back(container::stream_of(name, tensor));
  return write_torch_file(path, plan, options);
}

}  // namespace ferrule
