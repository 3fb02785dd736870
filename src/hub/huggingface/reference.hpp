// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ferrule/result.hpp"

namespace ferrule::hub {

/// `hf://user/repo[@revision][/subfolder]`. A slash in a revision is written `%2F`, except in
/// `refs/pr/N`.
struct Reference {
  std::string repo;
  std::string revision;  ///< Empty if the text has none.
  std::string folder;    ///< Below the repository's root; empty for the root itself.

  /// Fails with HB-1 unless each of the three can be a name on the Hub.
  static Result<Reference> parse(const std::string& text);

  /// The text that parse() reads as this.
  std::string text() const;
};

}  // namespace ferrule::hub
