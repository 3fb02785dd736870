// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ferrule/adapter.hpp"
#include "ferrule/text.hpp"
#include "numbers.hpp"
#include "objects.hpp"

using namespace ferrule;
using capi::AdapterObject;
using capi::guarded;
using capi::held_by;
using capi::needed;

namespace {

Result<void> give_tensor(const AdapterObject& held, const AdapterTensor& from,
                         ferrule_tensor* out) {
  const auto& tensor = from.tensor;
  ferrule_tensor value = {};
  value.dtype = capi::number_of(tensor.dtype());
  value.key = capi::text_of(from.key);
  value.role = capi::text_of(from.role);
  value.leaf = capi::text_of(from.leaf);
  value.shape = tensor.shape().data();
  value.rank = tensor.shape().size();
  value.data = tensor.bytes().data();
  value.size = tensor.bytes().size();
  value.file_offset = held.offset_of(tensor).value_or(FERRULE_NO_OFFSET);
  return capi::give("ferrule_tensor", value, out);
}

/// The element at `index`, or kInvalidArgument.
template <typename T>
Result<const T*> at(std::span<const T> all, std::uint64_t index, std::string_view what) {
  if (index < all.size()) return &all[static_cast<std::size_t>(index)];
  return capi::invalid("there is no " + std::string(what) + " " + std::to_string(index) + " of " +
                       std::to_string(all.size()));
}

}  // namespace

extern "C" {

ferrule_status ferrule_adapter_tensor(ferrule_adapter adapter, uint64_t index,
                                      ferrule_tensor* tensor, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_TRY(const auto* held, held_by<AdapterObject>(adapter));
    FERRULE_C_TRY(const auto* found, at(held->adapter.tensors(), index, "tensor"));
    return give_tensor(*held, *found, tensor);
  });
}

ferrule_status ferrule_adapter_find_tensor(ferrule_adapter adapter, const char* key,
                                           ferrule_tensor* tensor, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(key, "key"));
    FERRULE_C_TRY(const auto* held, held_by<AdapterObject>(adapter));
    const auto* found = held->adapter.find(key);
    if (found == nullptr) return capi::missing("there is no tensor " + quote(key));
    return give_tensor(*held, *found, tensor);
  });
}

ferrule_status ferrule_adapter_module(ferrule_adapter adapter, uint64_t index,
                                      ferrule_module* module, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_TRY(const auto* held, held_by<AdapterObject>(adapter));
    FERRULE_C_TRY(const auto* found, at(held->adapter.modules(), index, "module"));
    const auto& resolved = found->resolved();
    ferrule_module value = {};
    value.has_strength = resolved.strength ? 1 : 0;
    value.has_rank = resolved.rank ? 1 : 0;
    value.has_alpha = resolved.alpha ? 1 : 0;
    value.strength = found->strength();
    value.rank = resolved.rank.value_or(0);
    value.alpha = resolved.alpha.value_or(0);
    value.path = capi::text_of(found->path());
    value.rule = capi::text_of(resolved.rule);
    value.tensor_count = found->tensors().size();
    return capi::give("ferrule_module", value, module);
  });
}

ferrule_status ferrule_adapter_find_module(ferrule_adapter adapter, const char* path,
                                           uint64_t* index, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(path, "path"));
    FERRULE_C_CHECK(needed(index, "index"));
    FERRULE_C_TRY(const auto* held, held_by<AdapterObject>(adapter));
    const auto modules = held->adapter.modules();
    const auto found = std::lower_bound(
        modules.begin(), modules.end(), std::string_view(path),
        [](const AdapterModule& module, std::string_view name) { return module.path() < name; });
    if (found == modules.end() || found->path() != path) {
      return capi::missing("the adapter does not change a module " + quote(path));
    }
    *index = static_cast<std::uint64_t>(found - modules.begin());
    return {};
  });
}

ferrule_status ferrule_module_tensor(ferrule_adapter adapter, uint64_t module, uint64_t index,
                                     ferrule_tensor* tensor, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_TRY(const auto* held, held_by<AdapterObject>(adapter));
    FERRULE_C_TRY(const auto* of, at(held->adapter.modules(), module, "module"));
    FERRULE_C_TRY(const auto* found, at(of->tensors(), index, "tensor"));
    return give_tensor(*held, *found, tensor);
  });
}

ferrule_status ferrule_module_find_tensor(ferrule_adapter adapter, uint64_t module,
                                          const char* role, ferrule_tensor* tensor,
                                          ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(role, "role"));
    FERRULE_C_TRY(const auto* held, held_by<AdapterObject>(adapter));
    FERRULE_C_TRY(const auto* of, at(held->adapter.modules(), module, "module"));
    const auto* found = of->find(role);
    if (found == nullptr) {
      return capi::missing("module " + quote(of->path()) + " has no " + quote(role));
    }
    return give_tensor(*held, *found, tensor);
  });
}

}  // extern "C"
