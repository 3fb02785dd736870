// SPDX-License-Identifier: Apache-2.0
#include "boundary.hpp"

namespace ferrule::capi {
namespace {

/// Copies `text` and a NUL, cut in front of a character that does not fit. A NUL in the text ends
/// it.
template <std::size_t kSize>
void copy_text(std::string_view text, char (&out)[kSize]) noexcept {
  text = text.substr(0, text.find('\0'));
  std::size_t size = std::min(text.size(), kSize - 1);
  if (size < text.size()) {
    // Bytes 10xxxxxx continue a character of UTF-8.
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
  }
  if (size > 0) std::memcpy(out, text.data(), size);
  out[size] = '\0';
}

void fill(ferrule_status status, int system_errno, std::string_view rule, std::string_view path,
          std::string_view message, ferrule_error* out) noexcept {
  if (out == nullptr) return;
  ferrule_error value = {};
  value.struct_size = out->struct_size;
  value.status = status;
  value.system_errno = system_errno;
  copy_text(rule, value.rule);
  copy_text(path, value.path);
  copy_text(message, value.message);
  std::memcpy(out, &value, std::min<std::size_t>(value.struct_size, sizeof(value)));
}

}  // namespace

Error invalid(std::string message) {
  return {.code = ErrorCode::kInvalidArgument, .message = std::move(message)};
}

Error missing(std::string message) {
  return {.code = ErrorCode::kNotFound, .message = std::move(message)};
}

Result<void> check_size(std::string_view name, std::size_t size, std::size_t first) {
  if (size >= first && size <= kMaxStructBytes) return {};
  return invalid("struct_size of " + std::string(name) + " is " + std::to_string(size) +
                 ", expected its sizeof, " + std::to_string(first) + " or more");
}

Result<void> check_unknown(std::string_view name, std::span<const std::byte> unknown) {
  if (std::all_of(unknown.begin(), unknown.end(), [](std::byte b) { return b == std::byte{0}; })) {
    return {};
  }
  return Error{.code = ErrorCode::kUnsupported,
               .message = std::string(name) + " sets a field that this library is too old to know"};
}

ferrule_status status_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return FERRULE_INVALID_ARGUMENT;
    case ErrorCode::kNotFound:
      return FERRULE_NOT_FOUND;
    case ErrorCode::kIo:
      return FERRULE_IO;
    case ErrorCode::kCorrupt:
      return FERRULE_CORRUPT;
    case ErrorCode::kUnsupported:
      return FERRULE_UNSUPPORTED;
    case ErrorCode::kLimitExceeded:
      return FERRULE_LIMIT_EXCEEDED;
  }
  return FERRULE_INTERNAL;
}

ferrule_status fail(const Error& error, ferrule_error* out) noexcept {
  const auto status = status_of(error.code);
  fill(status, error.system_errno, error.rule, error.path, error.message, out);
  return status;
}

ferrule_status fail(ferrule_status status, std::string_view message, ferrule_error* out) noexcept {
  fill(status, 0, {}, {}, message, out);
  return status;
}

bool is_usable(const ferrule_error* error) noexcept {
  return error == nullptr ||
         (error->struct_size >= kFirstSize<ferrule_error> && error->struct_size <= kMaxStructBytes);
}

}  // namespace ferrule::capi
