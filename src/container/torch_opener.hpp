// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/torch_file.hpp"
#include "io/input_file.hpp"

namespace ferrule {

/// Makes a TorchFile of a file that is open already (out of a directory that must not change under
/// us).
struct TorchFileOpener {
  static Result<TorchFile> open(const io::InputFile& file, const OpenOptions& options);
};

}  // namespace ferrule
