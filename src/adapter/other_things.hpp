// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "ferrule/read_limits.hpp"
#include "io/transaction/directory_reader.hpp"

namespace ferrule::adapter {

/// What a directory without an adapter_config.json is instead of an adapter, and what leads on: a
/// clause that continues a message ("; it is a checkpoint of DeepSpeed ..."), or empty.
std::string describe_other_folder(const io::DirectoryReader& directory, const OpenOptions& options);

/// What a file is that was given in place of an adapter's directory, with its path; the error of
/// reading it if that fails.
Error describe_other_file(const std::filesystem::path& path, const OpenOptions& options);

}  // namespace ferrule::adapter
