// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "format/pickle/pickle_state.hpp"

namespace ferrule::format {

/// What in a pickle would import or call, written down instead. Private to the stack machine.
class PickleCalls : protected PickleState {
 protected:
  using PickleState::PickleState;

  /// Pushes the global of that name, if the list of globals has it.
  Result<void> global(std::string_view module, std::string_view name);
  Result<void> stack_global();
  /// Pushes a note of the call. collections.OrderedDict alone is known well enough to be made.
  Result<void> call(const PickleValue& callable, const PickleValue& arguments);
  /// Attributes for the object on top. Those of a dict (`_metadata` of a state dict) mean nothing
  /// to us; a call keeps them, so that the reader can refuse.
  Result<void> build();
  Result<void> persistent(const PickleValue& id);

 private:
  /// OrderedDict(), or OrderedDict([[key, value], ...]) as Python 2 wrote it.
  Result<void> ordered_dict(const PickleValue& arguments);
  Result<void> check_attribute(const PickleValue& callable, const PickleValue& arguments) const;
};

}  // namespace ferrule::format
