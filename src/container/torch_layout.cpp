// SPDX-License-Identifier: Apache-2.0
#include "container/torch_layout.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/file_kind.hpp"
#include "format/torch/torch_archive.hpp"

namespace ferrule::container {

Result<format::TorchLayout> read_torch_layout(const format::ByteSource& source,
                                              const OpenOptions& options) {
  std::vector<std::byte> head(std::min<std::uint64_t>(source.size(), 1024));
  FERRULE_CHECK(source.read_at(0, head));
  const std::string_view start(reinterpret_cast<const char*>(head.data()), head.size());
  if (start.starts_with("PK\x03\x04") || start.starts_with("PK\x05\x06")) {
    return format::read_torch_archive(source, options.torch_key, options.limits);
  }
  if (start.starts_with('\x80')) {
    return format::read_torch_legacy(source, options.torch_key, options.limits);
  }
  const FileKind kind = recognize(head, source.size());
  const bool tar = kind == FileKind::kTorchTar;
  return base::unsupported(
      "PK-17", "not a file that torch.save wrote since 0.1.10, but " + std::string(describe(kind)) +
                   (tar ? "; load and save it once with torch.load(weights_only=False), if "
                          "you trust it"
                        : ""));
}

}  // namespace ferrule::container
