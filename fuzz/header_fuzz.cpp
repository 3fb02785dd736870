// SPDX-License-Identifier: Apache-2.0
// Any bytes: refused with a rule, or a file that keeps its promises and that the writer makes again
// so that it reads the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "ferrule/file_kind.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/safetensors_writer.hpp"

namespace {

using ferrule::SafetensorsFile;

void require(bool condition) {
  if (!condition) std::abort();
}

bool same(const ferrule::TensorView& a, const ferrule::TensorView& b) {
  return a.dtype() == b.dtype() &&
         std::equal(a.shape().begin(), a.shape().end(), b.shape().begin(), b.shape().end()) &&
         std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin(), b.bytes().end());
}

void check(const SafetensorsFile& file, std::span<const std::byte> bytes) {
  std::size_t covered = 0;
  for (const auto& [name, tensor] : file.tensors()) {
    require(ferrule::byte_size(tensor.dtype(), tensor.shape()) == tensor.bytes().size());
    const auto found = file.find(name);
    require(found && found->bytes().data() == tensor.bytes().data());
    covered += tensor.bytes().size();
  }
  require(covered <= bytes.size() - 8);
  if (covered > 0) {
    require(file.tensors().back().tensor.bytes().data() +
                file.tensors().back().tensor.bytes().size() ==
            bytes.data() + bytes.size());
  }
  for (const auto& alias : file.aliases()) {
    require(file.find(alias.kept) && !file.find(alias.removed));
  }
  const auto written = ferrule::serialize_safetensors(file.tensors(), file.metadata());
  require(written.has_value());
  const auto again = SafetensorsFile::from_bytes(*written);
  require(again.has_value() && again->tensors().size() == file.tensors().size());
  for (const auto& [name, tensor] : file.tensors()) {
    const auto found = again->find(name);
    require(found && same(*found, tensor));
  }
  auto metadata = file.metadata();
  std::sort(metadata.begin(), metadata.end());
  require(again->metadata() == metadata);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65536) return 0;
  const auto bytes = std::as_bytes(std::span(data, size));
  static_cast<void>(ferrule::recognize(bytes, size));
  const auto file = SafetensorsFile::from_bytes(bytes);
  if (file) {
    check(*file, bytes);
  } else {
    require(!file.error().rule.empty() && file.error().message.size() < 4096);
  }
  return 0;
}
