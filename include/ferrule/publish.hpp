// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule {

struct PublishOptions {
  /// How many generations stay, the new one included; 0 keeps all.
  std::uint64_t keep = 0;
  Durability durability = Durability::kSafe;
};

/// What publish() did.
struct [[nodiscard]] PublishReport {
  std::uint64_t generation = 0;
  /// ROOT/NNNNNNNN, which nothing changes afterwards.
  std::filesystem::path directory;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  /// Of publish_tensors(): names that share the memory of another, which were not written again.
  std::uint64_t shared = 0;
  /// Generations that were removed for PublishOptions::keep.
  std::vector<std::uint64_t> removed;
};

/// Copies the adapter `adapter` into `root` as its next generation, and makes that the current one:
///
///   root/00000001/    a generation: whole when it appears, never changed
///   root/00000002/
///   root/current      a link to the newest, replaced in one step
///   root/.generation  its number, for readers that map it (PublishedReader)
///
/// An adapter with errors among its findings is refused with the first of them. Publishers into one
/// root wait for each other. `root` is made if it is missing; a folder in shared memory (/dev/shm)
/// works. Fails as Adapter::open does, or with kIo; the current generation then stays.
FERRULE_API Result<PublishReport> publish(const std::filesystem::path& adapter,
                                          const std::filesystem::path& root,
                                          const PublishOptions& options = {});

/// Publishes tensors in memory, as a training loop has them after a step: the next generation is
/// root/NNNNNNNN/model.safetensors, written once, straight from their memory.
///
/// Of tensors that are the same memory with one dtype and shape (tied weights), the one whose name
/// comes first is written. The others are in `__metadata__` as safetensors' save_model writes them
/// (`"lm_head.weight": "embed.weight"`); Checkpoint::aliases() and safetensors' load_model tell
/// their reader. Fails as write_safetensors() does.
FERRULE_API Result<PublishReport> publish_tensors(std::span<const NamedTensor> tensors,
                                                  const std::filesystem::path& root,
                                                  const Metadata& metadata = {},
                                                  const PublishOptions& options = {});

/// Follows the current generation of a root. Asking whether there is a newer one reads a number in
/// mapped memory: no system call, so it can be done for every request. (On file systems that
/// several machines mount, ask current() instead: mapped memory can be out of date there.)
///
///   auto reader = PublishedReader::open("/dev/shm/adapter");
///   ...
///   if (reader->changed()) {
///     auto now = reader->current();
///     if (now) load(now->directory);
///   }
///
/// For one thread at a time, except changed().
class FERRULE_API PublishedReader {
 public:
  struct Generation {
    std::uint64_t number = 0;
    std::filesystem::path directory;
  };

  /// Fails with kNotFound if nothing was published in `root` yet, or with kIo.
  static Result<PublishedReader> open(const std::filesystem::path& root);
  PublishedReader(PublishedReader&&) noexcept;
  PublishedReader& operator=(PublishedReader&&) noexcept;
  ~PublishedReader();

  /// True if something was published since the last current(), or since open().
  bool changed() const noexcept;

  /// The current generation, whole. Its folder stays until PublishOptions::keep of a later publish
  /// removes it.
  Result<Generation> current();

 private:
  struct Rep;
  explicit PublishedReader(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

}  // namespace ferrule
