// SPDX-License-Identifier: Apache-2.0
#include "adapter/known_examinations.hpp"

#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "base/tensor_view_access.hpp"

namespace ferrule::adapter {
namespace {

constexpr std::size_t kMaxExamined = 8;

struct KnownExaminations {
  std::mutex mutex;
  std::array<SharedExamined, kMaxExamined> kept;
  std::size_t oldest = 0;

  /// Never destroyed: a program may open adapters while it ends.
  static KnownExaminations& all() {
    static auto* const only = new KnownExaminations;
    return *only;
  }
};

std::vector<AdapterTensor> tensors_in(const std::vector<AdapterTensor>& from,
                                      const std::byte* old_data, const std::byte* data) {
  std::vector<AdapterTensor> tensors = from;
  for (auto& [key, role, leaf, tensor] : tensors) {
    const auto bytes = tensor.bytes();
    const auto at = bytes.empty() ? 0 : static_cast<std::size_t>(bytes.data() - old_data);
    tensor = TensorViewAccess::unchecked(tensor.dtype(), tensor.shape(), {data + at, bytes.size()});
  }
  return tensors;
}

}  // namespace

std::shared_ptr<const AdapterConfig> find_config(std::string_view text) {
  auto& all = KnownExaminations::all();
  const std::lock_guard lock(all.mutex);
  for (const auto& known : all.kept) {
    if (known != nullptr && known->config_text == text) return known->config;
  }
  return nullptr;
}

SharedExamined find_examined(const AdapterConfig& config,
                             const container::SafetensorsLayout& layout) {
  auto& all = KnownExaminations::all();
  const std::lock_guard lock(all.mutex);
  for (const auto& known : all.kept) {
    if (known != nullptr && known->config.get() == &config && known->layout.get() == &layout) {
      return known;
    }
  }
  return nullptr;
}

void keep_examined(SharedExamined examined) {
  auto& all = KnownExaminations::all();
  const std::lock_guard lock(all.mutex);
  std::swap(all.kept[all.oldest], examined);  // What is freed is freed without the lock.
  all.oldest = (all.oldest + 1) % kMaxExamined;
}

Examination examination_in(const Examined& examined, const std::byte* data) {
  const auto& from = examined.examination;
  Examination result;
  result.tensors = tensors_in(from.tensors, examined.data, data);
  result.grouped = tensors_in(from.grouped, examined.data, data);
  result.keys = from.keys;
  result.modules = from.modules;
  AdapterAccess::hand_over(from, result);
  return result;
}

}  // namespace ferrule::adapter
