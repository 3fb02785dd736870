// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"

namespace ferrule::regex {

/// A regular expression in the dialect of Python's `re`, run with a step limit so that a hostile
/// one ends. Compiled patterns may be used from any number of threads.
class Pattern {
 public:
  /// Fails with kCorrupt (invalid in Python too) or kUnsupported (valid Python that the engine
  /// lacks); rules CF-20, CF-21.
  static Result<Pattern> compile(std::string_view expression);

  /// An entry of rank_pattern and its like, as PEFT asks them: re.match of "(.*\\.)?(TEXT)$".
  static Result<Pattern> compile_entry(std::string_view text);

  /// As re.fullmatch, re.match and re.search. Fail with kLimitExceeded (CF-22) past the step limit.
  Result<bool> fullmatch(std::string_view text) const;
  Result<bool> match(std::string_view text) const;
  Result<bool> search(std::string_view text) const;

  /// As re.search, with what each group matched: the whole first, then by number; views into
  /// `text`, without data where a group took no part. Empty if nothing matches.
  Result<std::vector<std::string_view>> search_groups(std::string_view text) const;

  /// As re.match(...).group(): what matched, or nullopt.
  Result<std::optional<std::string_view>> matched(std::string_view text) const;

 private:
  struct Rep;
  static Result<std::shared_ptr<Rep>> make(std::string_view expression);
  std::shared_ptr<const Rep> rep_;
};

}  // namespace ferrule::regex
