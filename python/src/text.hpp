// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <string_view>

namespace ferrule::python {

/// The UTF-8 of a str of Python; lives as long as that object. Raises UnicodeEncodeError for lone
/// surrogates.
std::string_view utf8_of(nanobind::handle text);

/// `str(object)`.
std::string text_of(nanobind::handle object);

/// A str of Python. Bytes that are not UTF-8 become surrogates, as in Python's file names.
nanobind::str to_str(std::string_view bytes);

/// The class of `object`, as messages name it.
std::string type_name_of(nanobind::handle object);

}  // namespace ferrule::python
