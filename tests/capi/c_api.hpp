// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "ferrule/c.h"
#include "temp_dir.hpp"

namespace ferrule::test {

/// A struct that says which release it is of.
template <typename Struct>
Struct sized() {
  Struct value = {};
  value.struct_size = sizeof(Struct);
  return value;
}

inline std::string_view view(ferrule_text text) { return {text.data, text.size}; }

inline std::filesystem::path data() { return FERRULE_TEST_DATA; }
inline std::filesystem::path golden(std::string_view name) {
  return data() / "golden" / "cases" / name;
}

/// An adapter that closes itself.
class OpenedAdapter {
 public:
  explicit OpenedAdapter(const std::filesystem::path& path, std::uint32_t flags = 0) {
    auto options = sized<ferrule_open_options>();
    options.flags = flags;
    status = ferrule_adapter_open(path.c_str(), &options, &handle, &error);
  }
  OpenedAdapter(std::string_view config, std::string_view weights, std::uint32_t flags = 0) {
    auto options = sized<ferrule_open_options>();
    options.flags = flags;
    status = ferrule_adapter_open_memory(config.data(), config.size(), weights.data(),
                                         weights.size(), &options, &handle, &error);
  }
  OpenedAdapter(const OpenedAdapter&) = delete;
  OpenedAdapter& operator=(const OpenedAdapter&) = delete;
  ~OpenedAdapter() { ferrule_adapter_close(handle); }

  ferrule_adapter handle = {};
  ferrule_error error = sized<ferrule_error>();
  ferrule_status status = FERRULE_OK;
};

}  // namespace ferrule::test
