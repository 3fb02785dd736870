// SPDX-License-Identifier: Apache-2.0
#include "ferrule/safetensors_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/known_layouts.hpp"
#include "container/safetensors_file_access.hpp"
#include "ferrule/file_kind.hpp"
#include "ferrule/text.hpp"
#include "format/safetensors/safetensors_header.hpp"
#include "io/mapping.hpp"
#include "io/reserved_range.hpp"

namespace ferrule {

struct SafetensorsFile::Rep {
  std::filesystem::path path;
  std::uint64_t file_bytes = 0;
  io::Mapping mapping;
  /// What was read instead of mapped: all of a small file, or a header.
  std::unique_ptr<std::byte[]> read;
  io::ReservedRange reserved;  // In place of data that are not needed.
  container::SharedLayout layout;
  /// Its tensors in the data of this file, if the layout is that of an earlier one.
  std::vector<NamedTensor> own;
  /// Another file may have the layout, too.
  bool is_shared = false;
  /// Where the data begin, in memory and in the file.
  const std::byte* data = nullptr;
  std::uint64_t data_start = 0;

  std::span<const NamedTensor> tensors() const noexcept {
    return own.empty() ? std::span<const NamedTensor>(layout->header.tensors) : own;
  }

  Result<void> parse(std::string_view json, std::span<const std::byte> content,
                     const ReadLimits& limits);
  Result<void> parse_whole(std::span<const std::byte> file, const ReadLimits& limits);
  Result<void> read_mapped(const io::InputFile& file, std::span<const std::byte> head,
                           std::size_t header_bytes, const ReadLimits& limits);
  Result<void> share(std::string_view head, std::span<const std::byte> content,
                     const ReadLimits& limits);
};

namespace {

/// What `save_model` writes for a tensor it dropped as shared: removed name -> kept name.
std::vector<TensorAlias> aliases_of(const format::SafetensorsHeader& header) {
  std::vector<TensorAlias> aliases;
  for (const auto& [removed, kept] : header.metadata) {
    if (header.index.find(header.tensors, kept) && !header.index.find(header.tensors, removed)) {
      aliases.push_back({removed, kept});
    }
  }
  return aliases;
}

/// The parser's message if the file is meant to be safetensors, else what the file is.
Error explained(Error error, std::span<const std::byte> head, std::uint64_t file_bytes) {
  const FileKind kind = recognize(head, file_bytes);
  if (kind == FileKind::kSafetensors || kind == FileKind::kUnknown || kind == FileKind::kEmpty) {
    return error;
  }
  return base::unsupported(
      "ST-18", "expected a safetensors file, found that it is " + std::string(describe(kind)));
}

/// What is read before anything else is known: most headers, many whole adapters.
constexpr std::size_t kHeadBytes = std::size_t{16} << 10;

/// Up to here a header is cheaper to read than to map (and the names stay readable whatever becomes
/// of the file).
constexpr std::size_t kMaxReadHeader = std::size_t{128} << 10;

/// Up to here a whole file is cheaper to read than to map, page fault and unmap.
constexpr std::size_t kMaxReadFile = std::size_t{64} << 10;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

using OwnLayout = std::shared_ptr<container::SafetensorsLayout>;

Result<OwnLayout> parse_layout(std::string_view json, std::span<const std::byte> content,
                               const ReadLimits& limits) {
  auto layout = std::make_shared<container::SafetensorsLayout>();
  layout->data = content.data();
  layout->data_bytes = content.size();
  FERRULE_TRY(layout->header, format::parse_safetensors_header(json, content, limits));
  layout->aliases = aliases_of(layout->header);
  return layout;
}

/// Moves the names out of what was read of the header: they are half of it.
void keep_only_names(std::string_view head, container::SafetensorsLayout& layout) {
  const auto is_in = [head](std::string_view name) {
    return !std::less<>()(name.data(), head.data()) &&
           std::less<>()(name.data(), head.data() + head.size());
  };
  auto& tensors = layout.header.tensors;
  std::size_t total = 0;
  for (const auto& one : tensors) total += is_in(one.name) ? one.name.size() : 0;
  layout.names.reset(new std::byte[total]);
  auto* next = reinterpret_cast<char*>(layout.names.get());
  for (auto& one : tensors) {
    if (!is_in(one.name)) continue;
    std::copy(one.name.begin(), one.name.end(), next);
    one.name = {next, one.name.size()};
    next += one.name.size();
  }
}

}  // namespace

Result<void> SafetensorsFile::Rep::parse(std::string_view json, std::span<const std::byte> content,
                                         const ReadLimits& limits) {
  data = content.data();
  data_start = format::kHeaderLengthBytes + json.size();
  FERRULE_TRY(layout, parse_layout(json, content, limits));
  return {};
}

/// As parse(), unless another file had the same header. `head` is read memory that need not stay.
Result<void> SafetensorsFile::Rep::share(std::string_view head, std::span<const std::byte> content,
                                         const ReadLimits& limits) {
  data = content.data();
  data_start = head.size();
  is_shared = true;
  layout = container::find_layout(head, content.size(), limits);
  if (layout != nullptr) {
    own = container::tensors_in(*layout, data);
    return {};
  }
  FERRULE_TRY(auto made, parse_layout(head.substr(format::kHeaderLengthBytes), content, limits));
  keep_only_names(head, *made);
  layout = std::move(made);
  container::keep_layout(std::string(head), layout);
  return {};
}

Result<void> SafetensorsFile::Rep::parse_whole(std::span<const std::byte> file,
                                               const ReadLimits& limits) {
  file_bytes = file.size();
  auto length = format::header_length(file, file.size(), limits);
  if (!length) {
    return explained(std::move(length).error(), file.first(std::min(file.size(), kHeadBytes)),
                     file.size());
  }
  const auto json = file.subspan(format::kHeaderLengthBytes, static_cast<std::size_t>(*length));
  return parse(as_text(json), file.subspan(format::kHeaderLengthBytes + json.size()), limits);
}

/// Maps the file for its data and, unless the header is long, reads the header at the same time.
Result<void> SafetensorsFile::Rep::read_mapped(const io::InputFile& file,
                                               std::span<const std::byte> head,
                                               std::size_t header_bytes, const ReadLimits& limits) {
  const std::size_t start = format::kHeaderLengthBytes + header_bytes;
  const bool small = file_bytes <= kMaxReadFile;
  if (!small) {
    FERRULE_TRY(mapping, io::Mapping::of(file, Backing::kMap));
  }
  if (!small && header_bytes > kMaxReadHeader) return parse_whole(mapping.bytes(), limits);
  const std::size_t wanted = small ? static_cast<std::size_t>(file_bytes) : start;
  read.reset(new std::byte[wanted]);  // Uninitialized on purpose.
  const std::span<std::byte> bytes(read.get(), wanted);
  const std::size_t have = std::min(head.size(), wanted);
  std::memcpy(bytes.data(), head.data(), have);
  if (have < wanted) FERRULE_CHECK(file.read_at(have, bytes.subspan(have)));
  const auto content =
      small ? std::span<const std::byte>(bytes).subspan(start) : mapping.bytes().subspan(start);
  FERRULE_CHECK(share(as_text(bytes.first(start)), content, limits));
  if (!small) read.reset();
  return {};
}

Result<SafetensorsFile> SafetensorsFileAccess::open(const io::InputFile& file,
                                                    const OpenOptions& options) {
  const auto located = [&](Error error) {
    error.path = file.path().string();
    return error;
  };
  // A file that is not safetensors is refused before it is mapped or read.
  std::array<std::byte, kHeadBytes> buffer;  // Uninitialized on purpose.
  const auto head = std::span(buffer).first(
      static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), file.size())));
  FERRULE_CHECK(file.read_at(0, head));
  auto length = format::header_length(head, file.size(), options.limits);
  if (!length) return located(explained(std::move(length).error(), head, file.size()));

  auto rep = std::make_unique<SafetensorsFile::Rep>();
  rep->path = file.path();
  rep->file_bytes = file.size();
  Result<void> parsed;
  if (options.backing == Backing::kCopy) {
    FERRULE_TRY(rep->mapping, io::Mapping::of(file, Backing::kCopy, options.threads));
    const auto bytes = rep->mapping.bytes();
    const auto start = format::kHeaderLengthBytes + static_cast<std::size_t>(*length);
    parsed = start > kMaxReadHeader
                 ? rep->parse_whole(bytes, options.limits)
                 : rep->share(as_text(bytes.first(start)), bytes.subspan(start), options.limits);
  } else {
    parsed = rep->read_mapped(file, head, static_cast<std::size_t>(*length), options.limits);
  }
  if (!parsed) return located(std::move(parsed).error());
  return SafetensorsFile(std::move(rep));
}

Result<SafetensorsFile> SafetensorsFileAccess::from_header(std::string_view head,
                                                           std::uint64_t file_bytes,
                                                           const ReadLimits& limits) {
  auto rep = std::make_unique<SafetensorsFile::Rep>();
  rep->file_bytes = file_bytes;
  rep->read.reset(new std::byte[head.size()]);
  std::memcpy(rep->read.get(), head.data(), head.size());
  const std::span<const std::byte> bytes(rep->read.get(), head.size());
  FERRULE_TRY(const auto length, format::header_length(bytes, file_bytes, limits));
  if (length != head.size() - format::kHeaderLengthBytes) {
    return base::invalid("expected the whole header of a file, found another length");
  }
  FERRULE_TRY(rep->reserved, io::ReservedRange::of(file_bytes - head.size()));
  FERRULE_CHECK(rep->parse(as_text(bytes.subspan(format::kHeaderLengthBytes)),
                           rep->reserved.bytes(), limits));
  return SafetensorsFile(std::move(rep));
}

container::SharedLayout SafetensorsFileAccess::layout(const SafetensorsFile& file) noexcept {
  return file.rep_->is_shared ? file.rep_->layout : nullptr;
}

const std::byte* SafetensorsFileAccess::data(const SafetensorsFile& file) noexcept {
  return file.rep_->data;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path,
                                              const OpenOptions& options) {
  FERRULE_TRY(const auto file, io::InputFile::open(path));
  return SafetensorsFileAccess::open(file, options);
}

Result<SafetensorsFile> SafetensorsFile::from_bytes(std::span<const std::byte> bytes,
                                                    const ReadLimits& limits) {
  auto rep = std::make_unique<Rep>();
  FERRULE_CHECK(rep->parse_whole(bytes, limits));
  return SafetensorsFile(std::move(rep));
}

SafetensorsFile::SafetensorsFile(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;
SafetensorsFile::~SafetensorsFile() = default;

std::span<const NamedTensor> SafetensorsFile::tensors() const& noexcept { return rep_->tensors(); }

std::optional<TensorView> SafetensorsFile::find(std::string_view name) const& noexcept {
  const auto tensors = rep_->tensors();
  const auto position = rep_->layout->header.index.find(tensors, name);
  if (!position) return std::nullopt;
  return tensors[*position].tensor;
}

std::span<const TensorAlias> SafetensorsFile::aliases() const& noexcept {
  return rep_->layout->aliases;
}

Result<FileRange> SafetensorsFile::range(std::string_view name) const {
  const auto tensor = find(name);
  if (!tensor) return base::at(base::not_found("there is no tensor " + quote(name)), rep_->path);
  const auto bytes = tensor->bytes();
  const auto at = bytes.empty() ? 0 : static_cast<std::uint64_t>(bytes.data() - rep_->data);
  return FileRange::at(rep_->path, rep_->data_start + at, bytes.size());
}

const Metadata& SafetensorsFile::metadata() const& noexcept {
  return rep_->layout->header.metadata;
}

bool SafetensorsFile::has_metadata() const noexcept { return rep_->layout->header.has_metadata; }

const std::filesystem::path& SafetensorsFile::path() const& noexcept { return rep_->path; }

std::uint64_t SafetensorsFile::file_bytes() const noexcept { return rep_->file_bytes; }

}  // namespace ferrule
