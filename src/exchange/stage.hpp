// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "exchange/dialect.hpp"
#include "ferrule/durability.hpp"
#include "ferrule/result.hpp"
#include "io/folder.hpp"

namespace ferrule::exchange {

/// Where an output is written before it is proved: a hidden folder beside its place. Destroyed
/// without publish() it leaves nothing.
class Stage {
 public:
  Stage(std::filesystem::path output, bool is_file, Durability durability)
      : output_(std::move(output)), is_file_(is_file), durability_(durability) {}
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  ~Stage();

  /// The path of what was written.
  Result<std::filesystem::path> write(const Plan& plan);
  /// Puts it in its place. Files in an existing folder that are not of the plan stay.
  Result<void> publish(const Plan& plan);

 private:
  std::filesystem::path output_;
  bool is_file_;
  Durability durability_;
  io::MadeFolders made_;  // Above the scratch folder, and removed after it.
  std::optional<io::Folder> parent_;
  std::optional<io::Folder> scratch_;
  std::string scratch_name_;
};

}  // namespace ferrule::exchange
