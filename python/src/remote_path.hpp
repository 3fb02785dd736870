// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <filesystem>
#include <memory>
#include <string_view>

#include "ferrule/adapter_config.hpp"

namespace ferrule::python {

/// A path of this machine. The files of an address of the Hub or of an object store are pulled
/// there.
struct LocalPath {
  std::filesystem::path path;
  /// Keeps a temporary folder.
  std::shared_ptr<void> hold = {};
};

/// As path_of(); for a str as hub::locate(): an address, or a repository of the Hub if there is no
/// such path, is pulled through the cache. With `headers_only` only the headers of large weights
/// are fetched. Raises what a pull raises.
LocalPath local_path_of(nanobind::handle value, std::string_view argument, bool headers_only);

/// The same as hub::locate_apart(), and for a base model as hub::locate_base().
LocalPath apart_path_of(nanobind::handle value, std::string_view argument);
LocalPath base_path_of(nanobind::handle value, std::string_view argument, bool offline);

/// As hub::locate_base_of().
LocalPath base_path_of(const AdapterConfig& config, bool offline);

}  // namespace ferrule::python
