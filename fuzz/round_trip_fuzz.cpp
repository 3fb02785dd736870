// SPDX-License-Identifier: Apache-2.0
// Tensors made from the input (names, dtypes, shapes of any kind): the writer refuses them, or
// writes a file in which the reader finds exactly them.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/tensor_view_access.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/safetensors_writer.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}

  bool empty() const { return bytes_.empty(); }

  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }

  std::string text() {
    const std::size_t length = std::min<std::size_t>(byte() % 24, bytes_.size());
    std::string value(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(length));
    bytes_ = bytes_.subspan(length);
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

std::uint64_t extent(Input& input) {
  const std::uint8_t value = input.byte();
  // Mostly small; some that overflow.
  return value < 250 ? value % 9 : std::uint64_t{1} << (value % 6 * 12);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 65536) return 0;
  static const std::array<std::byte, 1 << 16> content{std::byte{1}, std::byte{2}, std::byte{3}};
  Input input(data, size);
  ferrule::Metadata metadata;
  for (int i = input.byte() % 4; i > 0; --i) {
    std::string key = input.text();
    metadata.emplace_back(std::move(key), input.text());
  }
  std::deque<std::string> names;
  std::deque<std::vector<std::uint64_t>> shapes;
  std::vector<ferrule::NamedTensor> tensors;
  while (!input.empty() && tensors.size() < 64) {
    const auto dtype = static_cast<ferrule::Dtype>(input.byte() % ferrule::kDtypeCount);
    auto& shape = shapes.emplace_back();
    for (int i = input.byte() % 5; i > 0; --i) shape.push_back(extent(input));
    const auto bytes = ferrule::byte_size(dtype, shape);
    // What has no size goes to the writer all the same, which has to notice.
    const std::size_t length = bytes && *bytes <= content.size() ? *bytes : 0;
    names.push_back(input.text());
    tensors.push_back({names.back(), ferrule::TensorViewAccess::unchecked(
                                         dtype, shape, std::span(content).first(length))});
  }
  const auto written = ferrule::serialize_safetensors(tensors, metadata);
  if (!written) {
    require(!written.error().rule.empty());
    return 0;
  }
  const auto file = ferrule::SafetensorsFile::from_bytes(*written);
  require(file.has_value() && file->tensors().size() == tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const auto found = file->find(name);
    require(found && found->dtype() == tensor.dtype());
    require(std::equal(found->shape().begin(), found->shape().end(), tensor.shape().begin(),
                       tensor.shape().end()));
    require(std::equal(found->bytes().begin(), found->bytes().end(), tensor.bytes().begin(),
                       tensor.bytes().end()));
  }
  std::sort(metadata.begin(), metadata.end());
  require(file->metadata() == metadata);
  return 0;
}
