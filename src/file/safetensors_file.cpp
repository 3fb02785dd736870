// SPDX-License-Identifier: Apache-2.0
#include "ferrule/safetensors_file.hpp"

#include <algorithm>
#include <array>

#include "base/try.hpp"
#include "ferrule/checkpoint.hpp"
#include "file/safetensors_opener.hpp"
#include "format/safetensors_header.hpp"
#include "io/mapping.hpp"

namespace ferrule {

struct SafetensorsFile::Rep {
  std::filesystem::path path;
  io::Mapping mapping;
  std::span<const std::byte> bytes;
  format::SafetensorsHeader header;
  std::vector<TensorAlias> aliases;

  Result<void> parse(const ReadLimits& limits);
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

/// The parser's own words where the file is meant to be safetensors, else what it is instead.
Error explained(Error error, std::span<const std::byte> head, std::uint64_t file_bytes) {
  const FileKind kind = recognise(head, file_bytes);
  if (kind == FileKind::kSafetensors || kind == FileKind::kUnknown || kind == FileKind::kEmpty) {
    return error;
  }
  return {
      .code = ErrorCode::kUnsupported,
      .rule = "ST-18",
      .message = "expected a safetensors file, found that it is " + std::string(describe(kind))};
}

/// Refuses what is no safetensors file before all of it is read into memory.
Result<void> check_head(const io::InputFile& file, const ReadLimits& limits) {
  std::array<std::byte, 4096> buffer{};
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), file.size()));
  const auto head = std::span(buffer).first(size);
  FERRULE_CHECK(file.read_at(0, head));
  auto length = format::header_length(head, file.size(), limits);
  if (!length) return explained(std::move(length).error(), head, file.size());
  return {};
}

}  // namespace

Result<void> SafetensorsFile::Rep::parse(const ReadLimits& limits) {
  auto parsed = format::parse_safetensors(bytes, limits);
  if (!parsed) {
    return explained(std::move(parsed).error(),
                     bytes.first(std::min<std::size_t>(bytes.size(), 4096)), bytes.size());
  }
  header = std::move(*parsed);
  aliases = aliases_of(header);
  return {};
}

Result<SafetensorsFile> SafetensorsFileOpener::open(const io::InputFile& file,
                                                    const OpenOptions& options) {
  const auto located = [&](Error error) {
    error.path = file.path().string();
    return error;
  };
  if (options.backing == Backing::kCopy) {
    if (auto head = check_head(file, options.limits); !head)
      return located(std::move(head).error());
  }
  auto rep = std::make_unique<SafetensorsFile::Rep>();
  rep->path = file.path();
  FERRULE_TRY(rep->mapping, io::Mapping::of(file, options.backing));
  rep->bytes = rep->mapping.bytes();
  if (auto parsed = rep->parse(options.limits); !parsed) {
    return located(std::move(parsed).error());
  }
  return SafetensorsFile(std::move(rep));
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path,
                                              const OpenOptions& options) {
  FERRULE_TRY(const auto file, io::InputFile::open(path));
  return SafetensorsFileOpener::open(file, options);
}

Result<SafetensorsFile> SafetensorsFile::from_bytes(std::span<const std::byte> bytes,
                                                    const ReadLimits& limits) {
  auto rep = std::make_unique<Rep>();
  rep->bytes = bytes;
  FERRULE_CHECK(rep->parse(limits));
  return SafetensorsFile(std::move(rep));
}

SafetensorsFile::SafetensorsFile(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;
SafetensorsFile::~SafetensorsFile() = default;

std::span<const NamedTensor> SafetensorsFile::tensors() const& noexcept {
  return rep_->header.tensors;
}

std::optional<TensorView> SafetensorsFile::find(std::string_view name) const& noexcept {
  const auto position = rep_->header.index.find(rep_->header.tensors, name);
  if (!position) return std::nullopt;
  return rep_->header.tensors[*position].tensor;
}

std::span<const TensorAlias> SafetensorsFile::aliases() const& noexcept { return rep_->aliases; }

const Metadata& SafetensorsFile::metadata() const& noexcept { return rep_->header.metadata; }

const std::filesystem::path& SafetensorsFile::path() const noexcept { return rep_->path; }

std::uint64_t SafetensorsFile::file_bytes() const noexcept { return rep_->bytes.size(); }

}  // namespace ferrule
