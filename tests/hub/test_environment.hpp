// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ferrule::test {

/// Environment variables that have other values while the object lives. nullptr unsets one.
class TestEnvironment {
 public:
  explicit TestEnvironment(const std::vector<std::pair<std::string, const char*>>& variables) {
    for (const auto& [name, value] : variables) set(name, value);
  }
  TestEnvironment(const TestEnvironment&) = delete;
  TestEnvironment& operator=(const TestEnvironment&) = delete;
  ~TestEnvironment() {
    for (auto old = before_.rbegin(); old != before_.rend(); ++old) {
      apply(old->first, old->second ? old->second->c_str() : nullptr);
    }
  }

  void set(const std::string& name, const char* value) {
    const char* old = std::getenv(name.c_str());
    before_.emplace_back(name, old != nullptr ? std::optional<std::string>(old) : std::nullopt);
    apply(name, value);
  }

 private:
  static void apply(const std::string& name, const char* value) {
    if (value != nullptr) {
      ::setenv(name.c_str(), value, 1);
    } else {
      ::unsetenv(name.c_str());
    }
  }

  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

}  // namespace ferrule::test
