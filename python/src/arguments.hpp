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
#include "ferrule/save_pretrained.hpp"
#include "ferrule/write_options.hpp"

/// Arguments of Python as values of the library. Each raises TypeError or InvalidArgumentError
/// (a ValueError) that names the argument.
namespace ferrule::python {

/// Raise TypeError "ARGUMENT: expected EXPECTED, found TYPE", or InvalidArgumentError "..., found
/// VALUE".
[[noreturn]] void wrong_type(std::string_view argument, const char* expected,
                             nanobind::handle found);
[[noreturn]] void wrong_value(std::string_view argument, const char* expected,
                              std::string_view found);

/// str, bytes or os.PathLike.
std::filesystem::path path_of(nanobind::handle value, std::string_view argument);

/// A path as Python writes paths.
nanobind::object to_path_str(const std::filesystem::path& path);

/// A str.
std::string str_of(nanobind::handle value, std::string_view argument);

/// A str as bytes: surrogates stand for bytes that are not UTF-8, as to_str() makes them.
std::string bytes_of(nanobind::handle value, std::string_view argument);

/// Several strs. A single str is refused: it would be taken as a list of letters.
std::vector<std::string> strs_of(nanobind::handle value, std::string_view argument);

/// "map" or "copy".
Backing backing_of(std::string_view value);

/// A content id: 64 hexadecimal digits.
std::string id_of(std::string value);

/// "fast", "safe" or "full".
Durability durability_of(std::string_view value);

/// True, False or "plain".
WriteCard card_of(nanobind::handle value);

/// None, or a dict of str to str, in its order.
Metadata metadata_of(nanobind::handle value, std::string_view argument);

/// None leaves empty metadata out, as safetensors does; an empty dict is written.
EmptyMetadata empty_metadata_of(nanobind::handle metadata);

nanobind::dict from_metadata(const Metadata& metadata);

/// A tuple of int.
nanobind::tuple to_shape(std::span<const std::uint64_t> shape);

}  // namespace ferrule::python
