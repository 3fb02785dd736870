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

/// Opens a file that holds tensors itself, in any format that Ferrule reads. An index does not: the
/// caller handles kSafetensorsIndex. Fails with kUnsupported (ST-18) for anything else; the message
/// says what the file is.
Result<std::unique_ptr<TensorSource>> open_container(const io::InputFile& file, FileKind kind,
                                                     const OpenOptions& options);

/// True for what one rank of a sharded model writes on its own: no tensors, or none that has data.
bool is_hollow(const TensorSource& source);

}  // namespace ferrule::container
