// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "ferrule/file_kind.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"
#include "io/input_file.hpp"

namespace ferrule::container {

/// What the file is by its first bytes.
Result<FileKind> kind_of(const io::InputFile& file);

/// Opens a file that holds tensors itself, whichever format it is in. An index is none: whoever
/// calls handles kSafetensorsIndex. Fails with kUnsupported (ST-18) and the name of the thing where
/// it is no container Ferrule reads.
Result<std::unique_ptr<TensorSource>> open_container(const io::InputFile& file, FileKind kind,
                                                     const OpenOptions& options);

}  // namespace ferrule::container
