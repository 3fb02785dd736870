// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "ferrule/adapter.hpp"
#include "ferrule/inspect.hpp"

namespace ferrule::cli {

struct ReportOptions {
  bool tensors = false;
  bool json = false;
};

// Each prints to standard output, as a table or as JSON.
void print_adapter(const Adapter& adapter, const ReportOptions& options);
void print_file(const ContainerSummary& file, const ReportOptions& options);
/// The bad ones are named on standard error.
void print_folder(const FolderSummary& folder, const std::filesystem::path& root,
                  const ReportOptions& options);

}  // namespace ferrule::cli
