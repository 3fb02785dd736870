// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ferrule/export.hpp"

namespace ferrule {

/// The type of a file, detected from its content and never from its name.
enum class FileKind : std::uint8_t {
  kSafetensors,
  kSafetensorsIndex,
  kTorchZip,
  kTorchLegacy,
  kTorchTar,
  kTorchScript,
  kPickle,
  kGguf,
  kLfsPointer,
  kHtml,
  kJson,
  kGzip,
  kZip,
  kTar,
  kSevenZip,
  kHdf5,
  kOnnxAdapter,
  kNumpy,
  kText,
  kEmpty,
  kUnknown,
};

/// A short phrase for messages: "a Git LFS pointer, not the file itself".
FERRULE_API std::string_view describe(FileKind kind) noexcept;

/// Detects the type from the first bytes of a file (give at least 1 KiB of them if there are that
/// many) and its size.
FERRULE_API FileKind recognize(std::span<const std::byte> head, std::uint64_t file_bytes) noexcept;

}  // namespace ferrule
