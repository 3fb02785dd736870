// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "ferrule/export.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule {

/// The bytes of a view as memory that can be written to, for libraries that know no other. Files
/// are mapped read-only (Backing::kMap); at the first call for a tensor of a file, the pages of
/// that file become private ones that are copied when they are written to. The file never changes,
/// but from then on its size counts against the process's limit of data (RLIMIT_DATA). Fails with
/// kLimitExceeded if that limit does not allow it.
///
/// Only for views of what Ferrule opened from a path: whether memory that the caller handed in may
/// be written to, the caller knows. Which views of one source share bytes is not told: what is
/// written to one is read in the others. May be called from any number of threads at once.
FERRULE_API Result<std::span<std::byte>> writable_bytes(const TensorView& view);

}  // namespace ferrule
