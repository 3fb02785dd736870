// SPDX-License-Identifier: Apache-2.0
#include "format/zip/inflate.hpp"

#include <libdeflate.h>

#include <memory>

#include "base/errors.hpp"

namespace ferrule::format {

Result<std::vector<std::byte>> inflate(std::span<const std::byte> packed, std::uint64_t bytes) {
  const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)> inflater(
      libdeflate_alloc_decompressor(), &libdeflate_free_decompressor);
  if (!inflater) {
    return base::over_limit("no memory to decompress it");
  }
  // One byte more than announced, so that a stream that goes on is told from one that fits.
  std::vector<std::byte> out(static_cast<std::size_t>(bytes) + 1);
  std::size_t used = 0;
  std::size_t made = 0;
  const auto result = libdeflate_deflate_decompress_ex(inflater.get(), packed.data(), packed.size(),
                                                       out.data(), out.size(), &used, &made);
  if (result != LIBDEFLATE_SUCCESS || used != packed.size() || made != bytes) {
    return base::corrupt("TZ-7",
                         "its compressed data are damaged or have another size than announced");
  }
  out.resize(made);
  return out;
}

}  // namespace ferrule::format
