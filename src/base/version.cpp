// SPDX-License-Identifier: Apache-2.0
#include "ferrule/version.hpp"

namespace ferrule {

std::string_view version() noexcept { return FERRULE_VERSION; }

std::string_view peft_version() noexcept { return "0.21.2"; }

}  // namespace ferrule
