// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>

#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"

namespace ferrule::exchange {

/// The datasets of an HDF5 file under their paths ("lora/9/vars/lora_kernel_a"). Fails as
/// format::parse_hdf5() does, and with kNotFound or kIo.
Result<std::shared_ptr<const TensorSource>> open_hdf5(const std::filesystem::path& path,
                                                      const OpenOptions& options);

}  // namespace ferrule::exchange
