// SPDX-License-Identifier: Apache-2.0
#include "hub/transport/http_message.hpp"

#include <algorithm>
#include <cstring>

namespace ferrule::hub {

Result<std::size_t> TextBody::read(std::span<std::byte> out) {
  const auto size = std::min(out.size(), text_.size() - at_);
  std::memcpy(out.data(), text_.data() + at_, size);
  at_ += size;
  return size;
}

Result<void> TextBody::rewind() {
  at_ = 0;
  return {};
}

std::string_view Response::header(std::string_view name) const noexcept {
  for (const auto& header : headers) {
    if (header.name == name) return header.value;
  }
  return {};
}

std::string_view Response::request_id() const noexcept {
  for (const auto* name : {"x-request-id", "x-amzn-trace-id", "x-amz-request-id", "x-amz-cf-id"}) {
    if (const auto id = header(name); !id.empty()) return id;
  }
  return {};
}

}  // namespace ferrule::hub
