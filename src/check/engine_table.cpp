// SPDX-License-Identifier: Apache-2.0
#include "check/engine_table.hpp"

#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text_file.hpp"

namespace ferrule {

EngineTable::EngineTable(std::unique_ptr<const checks::Engines> engines) noexcept
    : engines_(std::move(engines)) {}
EngineTable::EngineTable(EngineTable&&) noexcept = default;
EngineTable& EngineTable::operator=(EngineTable&&) noexcept = default;
EngineTable::~EngineTable() = default;

Result<EngineTable> EngineTable::parse(std::string_view text) {
  FERRULE_TRY(auto engines, checks::Engines::parse(text));
  return EngineTable(std::make_unique<const checks::Engines>(std::move(engines)));
}

Result<EngineTable> EngineTable::open(const std::filesystem::path& path) {
  FERRULE_TRY(const auto text, read_text_file(path));
  auto table = parse(text);
  if (!table) return base::at(std::move(table).error(), path);
  return table;
}

const EngineTable& EngineTable::built_in() {
  static const EngineTable table(
      std::make_unique<const checks::Engines>(checks::Engines::built_in()));
  return table;
}

std::vector<ServingEngine> EngineTable::engines() const {
  std::vector<ServingEngine> out;
  for (const auto& engine : engines_->all()) {
    out.push_back({engine.id, engine.title, engine.version, engine.date});
  }
  return out;
}

Result<void> EngineTable::check_name(std::string_view word) const {
  FERRULE_TRY([[maybe_unused]] const auto engine, engines_->find(word));
  return {};
}

std::vector<ServingEngine> serving_engines() { return EngineTable::built_in().engines(); }

namespace checks {

Result<std::vector<EngineAt>> find_engines(std::span<const std::string> words,
                                           const EngineTable* table) {
  const auto& engines =
      EngineTableAccess::engines(table != nullptr ? *table : EngineTable::built_in());
  std::vector<EngineAt> out;
  for (const auto& word : words) {
    FERRULE_TRY(auto engine, engines.find(word));
    out.push_back(std::move(engine));
  }
  return out;
}

}  // namespace checks
}  // namespace ferrule
