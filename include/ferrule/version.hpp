// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "ferrule/export.hpp"

namespace ferrule {

/// The version of this library, "major.minor.patch".
FERRULE_API std::string_view version() noexcept;

/// The PEFT release whose files Ferrule writes to the bit: what new configs carry as peft_version.
FERRULE_API std::string_view peft_version() noexcept;

}  // namespace ferrule
