// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

#include "ferrule/result.hpp"
#include "ferrule/save_control.hpp"

namespace ferrule::io {

/// Counts as a save in progress as long as it lives.
class SaveMark {
 public:
  SaveMark() noexcept;
  SaveMark(const SaveMark&) = delete;
  SaveMark& operator=(const SaveMark&) = delete;
  ~SaveMark();
};

bool saves_canceled() noexcept;

/// Fails with kIo and EINTR if saves are canceled; `path` is what is saved.
Result<void> unless_canceled(const std::filesystem::path& path);

void count_staged(std::uint64_t bytes) noexcept;

}  // namespace ferrule::io
