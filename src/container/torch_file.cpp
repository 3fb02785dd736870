// SPDX-License-Identifier: Apache-2.0
#include "ferrule/torch_file.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/tensor_view_access.hpp"
#include "base/try.hpp"
#include "container/torch_file_access.hpp"
#include "container/torch_layout.hpp"
#include "ferrule/text.hpp"
#include "format/strided_copy.hpp"
#include "format/torch/torch_archive.hpp"
#include "format/zip/crc32.hpp"
#include "io/input_file.hpp"
#include "io/mapping.hpp"

namespace ferrule {

struct TorchFile::Rep {
  std::filesystem::path path;
  io::Mapping mapping;
  std::span<const std::byte> bytes;
  format::TorchLayout layout;
  std::vector<std::vector<std::byte>> rearranged;
  std::vector<NamedTensor> tensors;
  std::unordered_map<std::string_view, std::size_t> index;

  /// TZ-11 for all storages. What was read of a mapped file is given back on the way: an opened
  /// file takes no memory.
  Result<void> check_storages() const {
    constexpr std::size_t kPiece = std::size_t{4} << 20;
    if (!layout.has_checksums) return {};
    for (const auto& storage : layout.storages) {
      std::uint32_t crc = 0;
      const auto content = bytes.subspan(storage.file_offset, storage.bytes);
      for (std::size_t at = 0; at < content.size(); at += kPiece) {
        const auto piece = content.subspan(at, std::min(kPiece, content.size() - at));
        crc = format::crc32(crc, piece);
        io::release_pages(piece);
      }
      if (crc != storage.crc32) {
        return format::wrong_checksum("data/" + storage.key, storage.crc32, crc);
      }
    }
    return {};
  }

  Result<void> make_views() {
    tensors.reserve(layout.tensors.size());
    index.reserve(layout.tensors.size());
    for (const auto& tensor : layout.tensors) {
      FERRULE_TRY(const auto content, bytes_of(tensor));
      index.emplace(tensor.name, tensors.size());
      tensors.push_back(
          {tensor.name, TensorViewAccess::unchecked(tensor.dtype, tensor.shape, content)});
    }
    return {};
  }

  Result<std::span<const std::byte>> bytes_of(const format::TorchTensor& tensor) {
    const std::uint64_t start = layout.storages[tensor.storage].file_offset + tensor.offset;
    if (tensor.bytes == 0) return std::span<const std::byte>();
    if (tensor.is_contiguous) return bytes.subspan(start, tensor.bytes);
    std::vector<std::byte> copy;
    try {
      copy.resize(static_cast<std::size_t>(tensor.bytes));
    } catch (const std::bad_alloc&) {
      return base::over_limit("PK-15",
                              quote(tensor.name) + " needs " + std::to_string(tensor.bytes) +
                                  " bytes to be made contiguous, more memory than there is");
    }
    FERRULE_CHECK(format::copy_contiguous(format::MemorySource(bytes),
                                          {.start = start,
                                           .item_bytes = tensor.item_bytes,
                                           .shape = tensor.stored_shape,
                                           .strides = tensor.strides},
                                          0, copy));
    rearranged.push_back(std::move(copy));
    return std::span<const std::byte>(rearranged.back());
  }

  Result<void> load(const OpenOptions& options) {
    FERRULE_TRY(layout, container::read_torch_layout(format::MemorySource(bytes), options));
    FERRULE_CHECK(check_storages());
    return make_views();
  }
};

TorchFile::TorchFile(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
TorchFile::TorchFile(TorchFile&&) noexcept = default;
TorchFile& TorchFile::operator=(TorchFile&&) noexcept = default;
TorchFile::~TorchFile() = default;

Result<TorchFile> TorchFile::open(const std::filesystem::path& path, const OpenOptions& options) {
  FERRULE_TRY(const auto file, io::InputFile::open(path));
  return TorchFileAccess::open(file, options);
}

Result<TorchFile> TorchFileAccess::open(const io::InputFile& file, const OpenOptions& options) {
  auto rep = std::make_unique<TorchFile::Rep>();
  FERRULE_TRY(rep->mapping, io::Mapping::of(file, options.backing, options.threads));
  rep->path = file.path();
  rep->bytes = rep->mapping.bytes();
  auto loaded = rep->load(options);
  if (!loaded) {
    auto error = std::move(loaded).error();
    if (error.path.empty()) error.path = file.path().string();
    return error;
  }
  return TorchFile(std::move(rep));
}

Result<TorchFile> TorchFile::from_bytes(std::span<const std::byte> bytes,
                                        const OpenOptions& options) {
  auto rep = std::make_unique<Rep>();
  rep->bytes = bytes;
  FERRULE_CHECK(rep->load(options));
  return TorchFile(std::move(rep));
}

std::span<const NamedTensor> TorchFile::tensors() const& noexcept { return rep_->tensors; }

std::optional<TensorView> TorchFile::find(std::string_view name) const& noexcept {
  const auto found = rep_->index.find(name);
  if (found == rep_->index.end()) return std::nullopt;
  return rep_->tensors[found->second].tensor;
}

std::span<const TensorAlias> TorchFile::aliases() const& noexcept { return {}; }

Result<FileRange> TorchFile::range(std::string_view name) const {
  const auto found = rep_->index.find(name);
  if (found == rep_->index.end()) {
    return base::at(base::not_found("there is no tensor " + quote(name)), rep_->path);
  }
  const auto& tensor = rep_->layout.tensors[found->second];
  if (!tensor.is_contiguous && tensor.bytes != 0) {
    return base::at(base::unsupported("tensor " + quote(name) +
                                      " is not contiguous in the file, and was rearranged "
                                      "in memory"),
                    rep_->path);
  }
  const auto& storage = rep_->layout.storages[tensor.storage];
  return FileRange::at(rep_->path, storage.file_offset + tensor.offset, tensor.bytes);
}

const std::filesystem::path& TorchFile::path() const& noexcept { return rep_->path; }

std::uint64_t TorchFile::file_bytes() const noexcept { return rep_->bytes.size(); }

}  // namespace ferrule
