// SPDX-License-Identifier: Apache-2.0
#include "container/container.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "container/safetensors_file_access.hpp"
#ifndef FERRULE_MINIMAL
#include "container/torch_file_access.hpp"
#endif

namespace ferrule::container {
namespace {

template <typename Source>
Result<std::unique_ptr<TensorSource>> boxed(Result<Source> source) {
  if (!source) return std::move(source).error();
  return std::unique_ptr<TensorSource>(std::make_unique<Source>(std::move(*source)));
}

}  // namespace

Result<FileKind> kind_of(const io::InputFile& file) {
  std::array<std::byte, 4096> buffer{};
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), file.size()));
  const auto head = std::span(buffer).first(size);
  FERRULE_CHECK(file.read_at(0, head));
  return recognize(head, file.size());
}

Result<std::unique_ptr<TensorSource>> open_container(const io::InputFile& file, FileKind kind,
                                                     const OpenOptions& options) {
  switch (kind) {
    case FileKind::kTorchZip:
    case FileKind::kTorchLegacy:
    case FileKind::kTorchScript:
    case FileKind::kTorchTar:
    case FileKind::kPickle:
#ifdef FERRULE_MINIMAL
      return base::at(base::unsupported("ST-18", "it is " + std::string(describe(kind)) +
                                                     ", and a minimal build of Ferrule reads only "
                                                     "safetensors files"),
                      file.path());
#else
      // What torch's reader does not read either, it refuses in its own words.
      return boxed(TorchFileAccess::open(file, options));
#endif
    case FileKind::kSafetensors:
    case FileKind::kEmpty:
    case FileKind::kUnknown:
      // Empty and unknown files get the safetensors reader's own words.
      return boxed(SafetensorsFileAccess::open(file, options));
    default:
      return base::at(base::unsupported("ST-18", "expected a file of tensors, found that it is " +
                                                     std::string(describe(kind))),
                      file.path());
  }
}

bool is_hollow(const TensorSource& source) {
  const auto tensors = source.tensors();
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const NamedTensor& tensor) { return tensor.tensor.bytes().empty(); });
}

}  // namespace ferrule::container
