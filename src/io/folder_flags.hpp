// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>

namespace ferrule::io {

/// How a folder of our own is opened: never through a link, never kept by a program that is
/// started.
inline constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

}  // namespace ferrule::io
