// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace ferrule {

/// How the bytes of an opened file are held.
enum class Backing : std::uint8_t {
  /// Map the file, read-only: it takes no memory of the process's own, whatever its limits
  /// (writable_bytes() gives a view that can be written to). Opening costs only the header; pages
  /// load on first touch. If another process truncates the file, touching a lost page raises
  /// SIGBUS: for storage you do not control (network mounts, uploads) choose kCopy.
  kMap,
  /// Read the whole file into memory that nothing else can change.
  kCopy,
};

/// Bounds on what an untrusted file may make us allocate, checked before the allocation.
struct ReadLimits {
  /// ST-2: the limit of the reference implementation (safetensors 0.8).
  std::uint64_t header_bytes = 100'000'000;
  std::uint64_t tensors = 4'000'000;
  /// adapter_config.json, README.md, index files.
  std::uint64_t text_bytes = 64'000'000;
  /// Bytes of tensors that have to be rearranged in memory (non-contiguous ones of torch files),
  /// summed over the whole file.
  std::uint64_t materialized_bytes = std::uint64_t{16} << 30;
};

struct OpenOptions {
  Backing backing = Backing::kMap;
  ReadLimits limits = {};
  /// The key of a torch file under which its state dict is, if that is one level down, such as
  /// "state_dict". Empty if the file is the state dict.
  std::string torch_key = {};
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. Only Backing::kCopy of a large file uses more than one.
  unsigned threads = 1;
  /// Adapter::open() returns an adapter that has errors among its findings too, for programs that
  /// show or fix it. Without it the first error is the result.
  bool allow_errors = false;
};

}  // namespace ferrule
