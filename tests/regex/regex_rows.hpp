// SPDX-License-Identifier: Apache-2.0
// Tables of verdicts of Python 3.11's `re`, and what compares the engine with them.
#pragma once

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "regex/pattern.hpp"

namespace ferrule::regex::test {

using Groups = std::vector<std::string_view>;

/// What re.search gives: no match, or group(0) and groups(); a group that took no part is kUnset.
inline const Groups kNoMatch = {};
inline constexpr std::string_view kUnset = {};

struct Search {
  std::string_view pattern;
  std::string_view text;
  Groups groups;
};

inline void expect_searches(const std::vector<Search>& rows) {
  for (const auto& row : rows) {
    const auto pattern = Pattern::compile(row.pattern);
    ASSERT_TRUE(pattern) << row.pattern << ": " << pattern.error().to_string();
    const auto found = pattern->search_groups(row.text);
#ifdef FERRULE_MINIMAL
    // It says so if it would need the tables of Unicode.
    if (!found && found.error().rule == "CF-21") continue;
#endif
    ASSERT_TRUE(found) << row.pattern << ": " << found.error().to_string();
    ASSERT_EQ(*found, row.groups) << row.pattern << " in " << row.text;
    for (std::size_t i = 0; i < found->size(); ++i) {
      EXPECT_EQ((*found)[i].data() == nullptr, row.groups[i].data() == nullptr)
          << row.pattern << " in " << row.text << ", group " << i;
    }
    EXPECT_EQ(pattern->search(row.text).value(), !row.groups.empty()) << row.pattern;
  }
}

/// Python raises re.error.
inline void expect_refusals(const std::vector<std::string_view>& patterns) {
  for (const auto text : patterns) {
    const auto pattern = Pattern::compile(text);
    if (pattern) {
      ADD_FAILURE() << text << " compiles";
      continue;
    }
    EXPECT_EQ(pattern.error().code, ErrorCode::kCorrupt) << text << ": " << pattern.error().message;
    EXPECT_EQ(pattern.error().rule, "CF-20") << text;
  }
}

/// Python compiles them.
inline void expect_unsupported(const std::vector<std::string_view>& patterns) {
  for (const auto text : patterns) {
    const auto pattern = Pattern::compile(text);
    if (pattern) {
      ADD_FAILURE() << text << " compiles";
      continue;
    }
    EXPECT_EQ(pattern.error().code, ErrorCode::kUnsupported)
        << text << ": " << pattern.error().message;
    EXPECT_EQ(pattern.error().rule, "CF-21") << text;
  }
}

}  // namespace ferrule::regex::test
