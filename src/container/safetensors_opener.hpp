// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "io/input_file.hpp"

namespace ferrule {

/// Makes a SafetensorsFile of a file that is open already (out of a directory that must not change
/// under us).
struct SafetensorsFileOpener {
  static Result<SafetensorsFile> open(const io::InputFile& file, const OpenOptions& options);
};

}  // namespace ferrule
