// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferrule::container {

/// True for files in which trainers keep other things than weights (an optimizer's state, a random
/// generator's): their names end as torch's files of tensors do, and they are never opened unasked.
bool is_training_state(std::string_view name) noexcept;

/// The names that a folder's tensors are read from, and the other files of tensors in it.
struct FolderChoice {
  std::vector<std::string> chosen;
  std::vector<std::string> beside;
};

/// In the order that Checkpoint documents. `names` is sorted. Nothing is chosen if the folder has
/// no file of tensors.
FolderChoice choose_files(const std::vector<std::string>& names);

/// What a folder without a file of tensors of its own is, and which program or folder leads on: a
/// clause for messages ("it is a checkpoint of DeepSpeed ..."), empty if its names show nothing.
std::string describe_folder(std::span<const std::string> names);

}  // namespace ferrule::container
