// SPDX-License-Identifier: Apache-2.0
#include "boundary.hpp"
#include "ferrule/dtype.hpp"
#include "ferrule/method_roles.hpp"
#include "ferrule/version.hpp"
#include "numbers.hpp"

using namespace ferrule;

extern "C" {

uint32_t ferrule_c_abi() { return FERRULE_C_ABI; }

const char* ferrule_version() { return version().data(); }

const char* ferrule_status_name(uint32_t status) {
  switch (status) {
    case FERRULE_OK:
      return "ok";
    case FERRULE_INVALID_ARGUMENT:
      return "invalid_argument";
    case FERRULE_NOT_FOUND:
      return "not_found";
    case FERRULE_IO:
      return "io";
    case FERRULE_CORRUPT:
      return "corrupt";
    case FERRULE_UNSUPPORTED:
      return "unsupported";
    case FERRULE_LIMIT_EXCEEDED:
      return "limit_exceeded";
    case FERRULE_INTERNAL:
      return "internal";
    default:
      return "unknown";
  }
}

const char* ferrule_dtype_name(uint32_t dtype) {
  const auto known = capi::dtype_of(dtype);
  return known ? dtype_name(*known).data() : nullptr;
}

uint32_t ferrule_dtype_bits(uint32_t dtype) {
  const auto known = capi::dtype_of(dtype);
  return known ? bit_width(*known) : 0;
}

ferrule_status ferrule_method_role(const char* peft_type, uint64_t index, ferrule_role* role,
                                   ferrule_error* error) {
  return capi::guarded(error, [&]() -> Result<void> {
    if (peft_type == nullptr) return capi::invalid("peft_type is null");
    const auto roles = method_roles(peft_type);
    if (index >= roles.size()) {
      return capi::missing("the method has " + std::to_string(roles.size()) + " roles");
    }
    const auto& found = roles[static_cast<std::size_t>(index)];
    ferrule_role value = {};
    value.is_of_model = found.is_of_model ? 1 : 0;
    value.name = capi::text_of(found.role);
    return capi::give("ferrule_role", value, role);
  });
}

}  // extern "C"
