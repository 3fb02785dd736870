// SPDX-License-Identifier: Apache-2.0
#include "file/torch_layout.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/try.hpp"
#include "format/torch_archive.hpp"

namespace ferrule::file {

Result<format::TorchLayout> read_torch_layout(const format::ByteSource& source,
                                              const OpenOptions& options) {
  std::vector<std::byte> head(std::min<std::uint64_t>(source.size(), 4));
  FERRULE_CHECK(source.read_at(0, head));
  const std::string_view start(reinterpret_cast<const char*>(head.data()), head.size());
  if (start.starts_with("PK\x03\x04") || start.starts_with("PK\x05\x06")) {
    return format::read_torch_archive(source, options.torch_key, options.limits);
  }
  if (start.starts_with('\x80')) {
    return format::read_torch_legacy(source, options.torch_key, options.limits);
  }
  return Error{.code = ErrorCode::kUnsupported,
               .rule = "PK-17",
               .message = "neither a zip archive nor a pickle, so no torch file"};
}

}  // namespace ferrule::file
