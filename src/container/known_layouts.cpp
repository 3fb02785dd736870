// SPDX-License-Identifier: Apache-2.0
#include "container/known_layouts.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "base/tensor_view_access.hpp"

namespace ferrule::container {
namespace {

constexpr std::size_t kMaxLayouts = 8;

struct KnownLayout {
  std::string head;
  SharedLayout layout;
};

struct KnownLayouts {
  std::mutex mutex;
  std::array<KnownLayout, kMaxLayouts> kept;
  std::size_t oldest = 0;

  /// Never destroyed: a program may open files while it ends.
  static KnownLayouts& all() {
    static auto* const only = new KnownLayouts;
    return *only;
  }
};

}  // namespace

SharedLayout find_layout(std::string_view head, std::size_t data_bytes, const ReadLimits& limits) {
  auto& all = KnownLayouts::all();
  const std::lock_guard lock(all.mutex);
  for (const auto& known : all.kept) {
    if (known.layout == nullptr || known.layout->data_bytes != data_bytes || known.head != head) {
      continue;
    }
    const auto& header = known.layout->header;
    const auto most = std::max(header.tensors.size(), header.metadata.size());
    return most <= limits.tensors ? known.layout : nullptr;
  }
  return nullptr;
}

void keep_layout(std::string head, SharedLayout layout) {
  KnownLayout old{std::move(head), std::move(layout)};
  auto& all = KnownLayouts::all();
  const std::lock_guard lock(all.mutex);
  std::swap(all.kept[all.oldest], old);  // What is freed is freed without the lock.
  all.oldest = (all.oldest + 1) % kMaxLayouts;
}

std::vector<NamedTensor> tensors_in(const SafetensorsLayout& layout, const std::byte* data) {
  std::vector<NamedTensor> tensors;
  tensors.reserve(layout.header.tensors.size());
  for (const auto& [name, tensor] : layout.header.tensors) {
    const auto bytes = tensor.bytes();
    const auto at = bytes.empty() ? 0 : static_cast<std::size_t>(bytes.data() - layout.data);
    tensors.push_back({name, TensorViewAccess::unchecked(tensor.dtype(), tensor.shape(),
                                                         {data + at, bytes.size()})});
  }
  return tensors;
}

}  // namespace ferrule::container
