// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/durability.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/safetensors_file.hpp"

/// Arguments of Python as values of the library. Each raises TypeError or ValueError that names the
/// argument.
namespace ferrule::python {

/// str, bytes or os.PathLike.
std::filesystem::path path_of(nanobind::handle value, std::string_view argument);

/// A path as Python writes paths.
nanobind::object to_path_str(const std::filesystem::path& path);

/// A str.
std::string str_of(nanobind::handle value, std::string_view argument);

/// Several strs. A single str is refused: it would be taken as a list of letters.
std::vector<std::string> strs_of(nanobind::handle value, std::string_view argument);

/// "map" or "copy".
Backing backing_of(std::string_view value);

/// "fast", "safe" or "full".
Durability durability_of(std::string_view value);

/// None, or a dict of str to str, in its order.
Metadata metadata_of(nanobind::handle value, std::string_view argument);

nanobind::dict from_metadata(const Metadata& metadata);

/// A tuple of int.
nanobind::tuple to_shape(std::span<const std::uint64_t> shape);

}  // namespace ferrule::python
