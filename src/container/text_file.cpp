// SPDX-License-Identifier: Apache-2.0
#include "ferrule/text_file.hpp"

#include <optional>
#include <span>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "io/input_file.hpp"
#include "io/transaction/directory_reader.hpp"
#include "io/transaction/file_transaction.hpp"

namespace ferrule {

Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t limit) {
  FERRULE_TRY(const auto file, io::InputFile::open(path));
  return file.read_text(limit);
}

Result<void> write_text_file(const std::filesystem::path& path, std::string_view text,
                             Durability durability) {
  FERRULE_TRY(auto transaction, io::FileTransaction::begin(path, durability));
  FERRULE_CHECK(transaction.file().write(std::as_bytes(std::span(text))));
  return transaction.commit();
}

Result<Json> read_base_config(const std::filesystem::path& path) {
  const bool is_directory = io::DirectoryReader::open(path).has_value();
  const auto file = is_directory ? path / "config.json" : path;
  FERRULE_TRY(const auto text, read_text_file(file));
  auto json = Json::parse(text, {.depth = 128, .allow_nan = true});
  if (json && !json->is_object()) {
    return base::at(
        base::corrupt("CF-1", "a base model's config is a JSON object; found a value of type " +
                                  std::string(json->type_name())),
        file);
  }
  if (!json) {
    auto error = std::move(json).error();
    error.path = file.string();
    return error;
  }
  return json;
}

}  // namespace ferrule
