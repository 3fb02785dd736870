// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "ferrule/adapter.hpp"
#include "ferrule/base_model.hpp"
#include "ferrule/checkpoint.hpp"

/// What the classes of Python hold. Objects and tensors that come out of one share it, so that it
/// lives as long as the last of them.
namespace ferrule::python {

using SharedAdapter = std::shared_ptr<const Adapter>;

/// ferrule.Adapter. Without an adapter it is closed.
struct OpenedAdapter {
  SharedAdapter adapter;
};

/// Raises ValueError if it is closed.
const SharedAdapter& held_by(const OpenedAdapter& self);

/// ferrule.Checkpoint.
struct OpenedCheckpoint {
  std::shared_ptr<const Checkpoint> checkpoint;
};

/// ferrule.BaseModel.
struct OpenedBase {
  std::shared_ptr<const BaseModel> base;
};

}  // namespace ferrule::python
