// SPDX-License-Identifier: Apache-2.0
#pragma once

// LibTorch's layers with adapters, trained, saved and loaded. Header-only: link ferrule::torch.
#include "ferrule/torch/add_adapter.hpp"           // IWYU pragma: export
#include "ferrule/torch/add_weighted_adapter.hpp"  // IWYU pragma: export
#include "ferrule/torch/async_saver.hpp"           // IWYU pragma: export
#include "ferrule/torch/checkpoints.hpp"           // IWYU pragma: export
#include "ferrule/torch/editing.hpp"               // IWYU pragma: export
#include "ferrule/torch/layers.hpp"                // IWYU pragma: export
#include "ferrule/torch/load.hpp"                  // IWYU pragma: export
#include "ferrule/torch/modules_to_save.hpp"       // IWYU pragma: export
#include "ferrule/torch/save.hpp"                  // IWYU pragma: export
#include "ferrule/torch/state_dict.hpp"            // IWYU pragma: export
#include "ferrule/torch/switching.hpp"             // IWYU pragma: export
