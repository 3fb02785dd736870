// SPDX-License-Identifier: Apache-2.0
// What runs a translated expression: PCRE2, or in a minimal library the small engine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"

namespace ferrule::regex {

/// Where a match may begin and must end.
enum class Anchor : std::uint8_t { kNone, kStart, kBoth };

/// A compiled expression. May be used from any number of threads.
class Engine {
 public:
  virtual ~Engine() = default;

  /// Whether it matches. If `groups` is given and it does, the whole match is in it, and all groups
  /// if `all_groups` is set; views into `text`, without data for a group that took no part.
  virtual Result<bool> run(std::string_view text, Anchor anchor,
                           std::vector<std::string_view>* groups, bool all_groups) const = 0;

 protected:
  Engine() = default;
  Engine(const Engine&) = default;
  Engine& operator=(const Engine&) = default;
};

/// `translated` is what translate_python_regex() made of `expression`, which messages quote. Fail
/// with kUnsupported (CF-21) and kLimitExceeded (CF-22).
Result<std::unique_ptr<const Engine>> compile_with_pcre2(std::string_view expression,
                                                         std::string_view translated);
Result<std::unique_ptr<const Engine>> compile_small(std::string_view expression,
                                                    std::string_view translated);

}  // namespace ferrule::regex
