// SPDX-License-Identifier: Apache-2.0
#pragma once

// LibTorch's layers with adapters, trained, saved and loaded. Header-only: link ferrule::torch.
#include "ferrule/torch/add_adapter.hpp"      // IWYU pragma: export
#include "ferrule/torch/layers.hpp"           // IWYU pragma: export
#include "ferrule/torch/load.hpp"             // IWYU pragma: export
#include "ferrule/torch/modules_to_save.hpp"  // IWYU pragma: export
#include "ferrule/torch/save.hpp"             // IWYU pragma: export
#include "ferrule/torch/switching.hpp"        // IWYU pragma: export
