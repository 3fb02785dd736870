// SPDX-License-Identifier: Apache-2.0
#include "container/known_layouts.hpp"

#include <algorithm>
#include <utility>

#include "base/last_few.hpp"
#include "base/tensor_view_access.hpp"

namespace ferrule::container {
namespace {

struct KnownLayout {
  std::string head;
  SharedLayout layout;
};

}  // namespace

SharedLayout find_layout(std::string_view head, std::size_t data_bytes, const ReadLimits& limits) {
  return last_few<KnownLayout>().find([&](const KnownLayout& known) -> SharedLayout {
    if (known.layout == nullptr || known.layout->data_bytes != data_bytes || known.head != head) {
      return nullptr;
    }
    const auto& header = known.layout->header;
    const auto most = std::max(header.tensors.size(), header.metadata.size());
    return most <= limits.tensors ? known.layout : nullptr;
  });
}

void keep_layout(std::string head, SharedLayout layout) {
  last_few<KnownLayout>().keep({std::move(head), std::move(layout)});
}

std::vector<NamedTensor> tensors_in(const SafetensorsLayout& layout, const std::byte* data) {
  std::vector<NamedTensor> tensors;
  tensors.reserve(layout.header.tensors.size());
  for (const auto& [name, tensor] : layout.header.tensors) {
    tensors.push_back({name, TensorViewAccess::moved(tensor, layout.data, data)});
  }
  return tensors;
}

}  // namespace ferrule::container
