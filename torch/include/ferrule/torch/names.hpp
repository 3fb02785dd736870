// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/types.h>

/// All of this library is in ferrule::libtorch.
namespace ferrule::libtorch {
namespace detail {}
}  // namespace ferrule::libtorch

// `ferrule::torch` is LibTorch's own namespace under a second name, and LibTorch's namespace finds
// ours: a program may say `ferrule::torch::Linear`, and after `using namespace ferrule` its
// `torch::` still means LibTorch. With a namespace of its own called ferrule::torch every
// `torch::` of such a program would be ambiguous.
namespace torch {
using namespace ::ferrule::libtorch;  // NOLINT(google-build-using-namespace)
namespace detail {
using namespace ::ferrule::libtorch::detail;  // NOLINT(google-build-using-namespace)
}
}  // namespace torch

namespace ferrule {
namespace torch = ::torch;
}
