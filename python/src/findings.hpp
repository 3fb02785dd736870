// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <span>

#include "ferrule/finding.hpp"

namespace ferrule::python {

/// A list of ferrule.Finding.
nanobind::list to_list(std::span<const Finding> findings);

}  // namespace ferrule::python
