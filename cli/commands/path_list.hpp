// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "arguments.hpp"

namespace ferrule::cli {

/// The paths of a command that takes several: arguments, and the lines of a file.
class PathList {
 public:
  /// Adds the positional argument NAME and `--files-from FILE`; one of the two is required.
  void add_to(Arguments& command, const std::string& name, const std::string& help);

  /// `--files-from FILE` alone, for a command whose argument is one path.
  void add_file_to(Arguments& command);
  bool is_file_given() const { return !files_from_.empty(); }

  /// The paths, or why they could not be read.
  class Paths {
   public:
    explicit Paths(std::vector<std::string> paths) : paths_(std::move(paths)) {}
    explicit Paths(int exit_code) : exit_code_(exit_code) {}
    explicit operator bool() const { return exit_code_ == 0; }
    int exit_code() const { return exit_code_; }
    const std::vector<std::string>& operator*() const { return paths_; }
    const std::vector<std::string>* operator->() const { return &paths_; }

   private:
    std::vector<std::string> paths_;
    int exit_code_ = 0;
  };
  /// Reads the file of --files-from ("-" is standard input): one path a line, empty lines are
  /// ignored. A failure is reported.
  Paths read(bool json) const;

  const std::vector<std::string>& given() const { return given_; }

 private:
  std::vector<std::string> given_;
  std::string files_from_;
};

}  // namespace ferrule::cli
