// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <filesystem>
#include <memory>
#include <string_view>

namespace ferrule::python {

/// A path of this machine. The files of an address of the Hub or of an object store are pulled
/// there.
struct LocalPath {
  std::filesystem::path path;
  /// Keeps a temporary folder.
  std::shared_ptr<void> hold = {};
};

/// As path_of(); a str with "hf://", "s3://" or "https://" is pulled through the cache. With
/// `headers_only` only the headers of large weights are fetched. With `offline`
/// only the cache is used. Raises what a pull raises.
LocalPath local_path_of(nanobind::handle value, std::string_view argument, bool headers_only,
                        bool offline = false);

}  // namespace ferrule::python
