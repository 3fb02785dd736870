// SPDX-License-Identifier: Apache-2.0
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/text.hpp"
#include "io/input_file.hpp"
#include "io/transaction/directory_reader.hpp"

namespace ferrule {
namespace {

/// The file at `path`, or the config of the directory there.
Result<std::string> read_config(const std::filesystem::path& path) {
  const std::uint64_t limit = ReadLimits{}.text_bytes;
  const auto directory = io::DirectoryReader::open(path);
  if (!directory && directory.error().code != ErrorCode::kUnsupported) return directory.error();
  if (!directory) {
    FERRULE_TRY(const auto file, io::InputFile::open(path));
    return file.read_text(limit);
  }
  FERRULE_TRY(const auto file, directory->open_file(kConfigFile));
  if (!file) {
    return base::at(base::not_found("there is no " + quote(kConfigFile) + " in this directory"),
                    path);
  }
  return file->read_text(limit);
}

}  // namespace

Result<AdapterConfig> AdapterConfig::open(const std::filesystem::path& path) {
  FERRULE_TRY(const std::string text, read_config(path));
  return parse(text, path);
}

}  // namespace ferrule
