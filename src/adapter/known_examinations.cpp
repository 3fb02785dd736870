// SPDX-License-Identifier: Apache-2.0
#include "adapter/known_examinations.hpp"

#include <utility>
#include <vector>

#include "base/last_few.hpp"
#include "base/tensor_view_access.hpp"

namespace ferrule::adapter {
namespace {

std::vector<AdapterTensor> tensors_in(const std::vector<AdapterTensor>& from,
                                      const std::byte* old_data, const std::byte* data) {
  std::vector<AdapterTensor> tensors = from;
  for (auto& [key, role, leaf, tensor] : tensors) {
    tensor = TensorViewAccess::moved(tensor, old_data, data);
  }
  return tensors;
}

}  // namespace

std::shared_ptr<const AdapterConfig> find_config(std::string_view text) {
  return last_few<SharedExamined>().find(
      [&](const SharedExamined& known) -> std::shared_ptr<const AdapterConfig> {
        return known != nullptr && known->config_text == text ? known->config : nullptr;
      });
}

SharedExamined find_examined(const AdapterConfig& config,
                             const container::SafetensorsLayout& layout) {
  return last_few<SharedExamined>().find([&](const SharedExamined& known) -> SharedExamined {
    const bool is_it =
        known != nullptr && known->config.get() == &config && known->layout.get() == &layout;
    return is_it ? known : nullptr;
  });
}

void keep_examined(SharedExamined examined) {
  last_few<SharedExamined>().keep(std::move(examined));
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
