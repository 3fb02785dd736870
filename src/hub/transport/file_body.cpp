// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/file_body.hpp"

#include <algorithm>

#include "base/try.hpp"

namespace ferrule::hub {

Result<std::size_t> FileBody::read(std::span<std::byte> out) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - at_));
  FERRULE_CHECK(file_.read_at(begin_ + at_, out.first(size)));
  at_ += size;
  if (meter_ != nullptr) meter_->add(static_cast<std::int64_t>(size));
  return size;
}

Result<void> FileBody::rewind() {
  if (meter_ != nullptr && at_ > 0) meter_->add(-static_cast<std::int64_t>(at_));
  at_ = 0;
  return {};
}

}  // namespace ferrule::hub
