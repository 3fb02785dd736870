// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>

#include "base/try.hpp"
#include "ferrule/checkpoint.hpp"
#include "ferrule/inspect.hpp"
#include "io/input_file.hpp"
#include "io/transaction/directory_reader.hpp"

namespace ferrule {
namespace {

std::string container_name(FileKind kind) {
  switch (kind) {
    case FileKind::kSafetensors:
      return "safetensors";
    case FileKind::kSafetensorsIndex:
      return "safetensors-index";
    case FileKind::kTorchZip:
      return "torch";
    case FileKind::kTorchLegacy:
      return "torch-legacy";
    case FileKind::kTorchTar:
      return "torch-tar";
    default:
      return std::string(describe(kind));
  }
}

/// What `path` holds by its first bytes; "checkpoint" for a directory.
Result<std::string> container_of(const std::filesystem::path& path) {
  if (io::DirectoryReader::open(path)) return std::string("checkpoint");
  FERRULE_TRY(const auto file, io::InputFile::open(path));
  std::array<std::byte, 4096> head{};
  const auto known = std::span(head).first(
      static_cast<std::size_t>(std::min<std::uint64_t>(head.size(), file.size())));
  FERRULE_CHECK(file.read_at(0, known));
  return container_name(recognize(known, file.size()));
}

void list(const TensorSource& source, ContainerSummary& summary) {
  summary.tensors.reserve(source.tensors().size());
  for (const auto& [name, tensor] : source.tensors()) {
    summary.totals.add(tensor);
    summary.tensors.push_back({.name = std::string(name),
                               .dtype = tensor.dtype(),
                               .shape = {tensor.shape().begin(), tensor.shape().end()},
                               .bytes = tensor.bytes().size()});
  }
}

}  // namespace

Result<ContainerSummary> inspect_container(const std::filesystem::path& path,
                                           const OpenOptions& options) {
  ContainerSummary summary;
  FERRULE_TRY(summary.container, container_of(path));
  if (summary.container == "safetensors") {
    FERRULE_TRY(const auto file, SafetensorsFile::open(path, options));
    summary.files = {path};
    summary.file_bytes = file.file_bytes();
    summary.metadata = file.metadata();
    list(file, summary);
    return summary;
  }
  FERRULE_TRY(const auto checkpoint, Checkpoint::open(path, options));
  summary.files.assign(checkpoint.files().begin(), checkpoint.files().end());
  summary.file_bytes = checkpoint.file_bytes();
  list(checkpoint, summary);
  return summary;
}

}  // namespace ferrule
