// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>

#include "ferrule/publish.hpp"
#include "objects.hpp"

using namespace ferrule;
using capi::guarded;
using capi::held_by;
using capi::needed;

namespace ferrule::capi {
namespace {

struct PublishedObject final : Object {
  static constexpr Kind kKind = Kind::kPublished;
  explicit PublishedObject(PublishedReader opened) : reader(std::move(opened)) {}
  PublishedReader reader;
  std::mutex mutex;  // For current(); changed() needs none.
};

/// `text` and a NUL, if the buffer has room for them.
Result<void> give_text(const std::string& text, char* buffer, std::size_t capacity,
                       std::size_t* size) {
  *size = text.size();
  if (buffer == nullptr || capacity <= text.size()) {
    return Error{.code = ErrorCode::kLimitExceeded,
                 .message = "the buffer is too small: it needs " + std::to_string(text.size() + 1) +
                            " bytes"};
  }
  std::memcpy(buffer, text.c_str(), text.size() + 1);
  return {};
}

}  // namespace
}  // namespace ferrule::capi

using capi::PublishedObject;

extern "C" {

ferrule_status ferrule_published_open(const char* root, ferrule_published* published,
                                      ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(root, "root"));
    FERRULE_C_CHECK(needed(published, "published"));
    FERRULE_C_TRY(auto reader, PublishedReader::open(root));
    return capi::hand_out(std::make_unique<PublishedObject>(std::move(reader)), published);
  });
}

ferrule_status ferrule_published_close(ferrule_published published) {
  return capi::close<PublishedObject>(published);
}

uint32_t ferrule_published_changed(ferrule_published published) {
  const auto* object = capi::find_handle(PublishedObject::kKind, published.id);
  return object != nullptr && static_cast<const PublishedObject*>(object)->reader.changed() ? 1 : 0;
}

ferrule_status ferrule_published_current(ferrule_published published, uint64_t* generation,
                                         char* buffer, size_t capacity, size_t* size,
                                         ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(generation, "generation"));
    FERRULE_C_CHECK(needed(size, "size"));
    FERRULE_C_TRY(auto* held, held_by<PublishedObject>(published));
    const std::lock_guard lock(held->mutex);
    FERRULE_C_TRY(const auto current, held->reader.current());
    *generation = current.number;
    return capi::give_text(current.directory.string(), buffer, capacity, size);
  });
}

}  // extern "C"
