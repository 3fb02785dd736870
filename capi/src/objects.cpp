// SPDX-License-Identifier: Apache-2.0
#include "objects.hpp"

namespace ferrule::capi {

Result<void> needed(const void* pointer, std::string_view name) {
  if (pointer != nullptr) return {};
  return invalid(std::string(name) + " is null");
}

Result<OpenOptions> open_options(const ferrule_open_options* given) {
  const auto taken_options = taken("ferrule_open_options", given);
  if (!taken_options) return taken_options.error();
  const auto& from = *taken_options;
  if ((from.flags & ~(FERRULE_OPEN_COPY | FERRULE_OPEN_ALLOW_ERRORS)) != 0) {
    return invalid("ferrule_open_options.flags has a bit that is not known: " +
                   std::to_string(from.flags));
  }
  OpenOptions options;
  options.allow_errors = (from.flags & FERRULE_OPEN_ALLOW_ERRORS) != 0;
  if ((from.flags & FERRULE_OPEN_COPY) != 0) options.backing = Backing::kCopy;
  if (from.max_header_bytes != 0) options.limits.header_bytes = from.max_header_bytes;
  if (from.max_tensors != 0) options.limits.tensors = from.max_tensors;
  if (from.max_text_bytes != 0) options.limits.text_bytes = from.max_text_bytes;
  if (from.max_rearranged_bytes != 0) {
    options.limits.materialized_bytes = from.max_rearranged_bytes;
  }
  if (from.threads != 0) options.threads = from.threads;
  return options;
}

AdapterObject::AdapterObject(Adapter opened, std::unique_ptr<std::byte[]> held)
    : bytes(std::move(held)), adapter(std::move(opened)) {
  for (const auto& tensor : adapter.tensors()) {
    const auto data = tensor.tensor.bytes();
    if (data.empty()) continue;
    if (const auto range = adapter.range(tensor.key)) {
      start = reinterpret_cast<std::uintptr_t>(data.data()) - range->offset;
      return;
    }
  }
}

std::optional<std::uint64_t> AdapterObject::offset_of(const TensorView& tensor) const noexcept {
  const auto at = reinterpret_cast<std::uintptr_t>(tensor.bytes().data());
  if (start == 0 || tensor.bytes().empty() || at < start) return std::nullopt;
  // What had to be rearranged is elsewhere in memory.
  if (at - start >= adapter.file_bytes()) return std::nullopt;
  return at - start;
}

Result<void> give_finding(std::span<const Finding> findings, std::uint64_t index,
                          ferrule_finding* out) {
  if (index >= findings.size()) {
    return invalid("there is no finding " + std::to_string(index) + " of " +
                   std::to_string(findings.size()));
  }
  const auto& from = findings[static_cast<std::size_t>(index)];
  ferrule_finding value = {};
  value.severity = static_cast<std::uint32_t>(from.severity);
  value.rule = text_of(from.rule);
  value.path = text_of(from.path);
  value.key = text_of(from.key);
  value.message = text_of(from.message);
  value.advice = text_of(from.advice);
  return give("ferrule_finding", value, out);
}

}  // namespace ferrule::capi
