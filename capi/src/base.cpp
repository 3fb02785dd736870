// SPDX-License-Identifier: Apache-2.0
#include "ferrule/base_model.hpp"
#include "objects.hpp"

using namespace ferrule;
using capi::BaseObject;
using capi::guarded;
using capi::held_by;
using capi::needed;

extern "C" {

ferrule_status ferrule_base_open(const char* path, const ferrule_open_options* options,
                                 ferrule_base* base, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(path, "path"));
    FERRULE_C_CHECK(needed(base, "base"));
    FERRULE_C_TRY(const auto wanted, capi::open_options(options));
    FERRULE_C_TRY(auto opened, BaseModel::open(path, wanted));
    return capi::hand_out(std::make_unique<BaseObject>(std::move(opened)), base);
  });
}

ferrule_status ferrule_base_close(ferrule_base base) { return capi::close<BaseObject>(base); }

ferrule_status ferrule_base_describe(ferrule_base base, ferrule_base_info* info,
                                     ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_TRY(const auto* held, held_by<BaseObject>(base));
    ferrule_base_info value = {};
    value.has_tensors = held->base.has_tensors() ? 1 : 0;
    value.tensor_count = held->base.tensor_count();
    value.class_name = capi::text_of(held->base.class_name());
    value.fingerprint = capi::text_of(held->base.fingerprint());
    return capi::give("ferrule_base_info", value, info);
  });
}

}  // extern "C"
