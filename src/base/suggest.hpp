// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/text.hpp"

namespace ferrule::base {

using ferrule::suggest;

}  // namespace ferrule::base
