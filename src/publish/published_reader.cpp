// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/publish.hpp"
#include "ferrule/text.hpp"
#include "io/folder.hpp"
#include "io/shared_number.hpp"
#include "publish/generations.hpp"

namespace ferrule {

struct PublishedReader::Rep {
  io::Folder root;
  io::SharedNumber number;
  std::uint64_t seen = 0;
};

PublishedReader::PublishedReader(std::unique_ptr<Rep> rep) noexcept : rep_(std::move(rep)) {}
PublishedReader::PublishedReader(PublishedReader&&) noexcept = default;
PublishedReader& PublishedReader::operator=(PublishedReader&&) noexcept = default;
PublishedReader::~PublishedReader() = default;

Result<PublishedReader> PublishedReader::open(const std::filesystem::path& root) {
  FERRULE_TRY(auto folder, io::Folder::open(root));
  if (!folder) return base::at(base::not_found("there is no such folder"), root.string());
  FERRULE_TRY(auto number, io::SharedNumber::open(root / publishing::kNumber));
  auto rep = std::make_unique<Rep>(Rep{*std::move(folder), std::move(number), 0});
  rep->seen = rep->number.load();
  return PublishedReader(std::move(rep));
}

bool PublishedReader::changed() const noexcept { return rep_->number.load() != rep_->seen; }

Result<PublishedReader::Generation> PublishedReader::current() {
  // Before the link: what is published meanwhile counts as a change afterwards.
  const auto number = rep_->number.load();
  FERRULE_TRY(const auto target, rep_->root.read_link(publishing::kCurrent));
  const auto generation = target ? publishing::generation_of(*target) : std::nullopt;
  if (!generation) {
    return base::at(base::corrupt("PB-2", target ? "its current is a link to " + quote(*target) +
                                                       ", which is not a generation"
                                                 : std::string("it has no current generation")),
                    (rep_->root.path() / publishing::kCurrent).string());
  }
  rep_->seen = number;
  return Generation{*generation, rep_->root.path() / *target};
}

}  // namespace ferrule
