// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

namespace ferrule::capi {

/// What a handle can name.
enum class Kind : std::uint8_t {
  kAdapter = 1,
  kBase = 2,
  kReport = 3,
  kWriter = 4,
  kPublished = 8
};

/// What a handle names. Destroyed when it is closed.
class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;
};

// The objects behind all handles of the process. An id holds the kind, the place in the table and
// how often that place was used before, so an id that was closed is never mistaken for a later one.
// Finding takes no lock. Safe in threads, except that an object must not be removed while another
// thread uses it.

/// The id of a new handle; 0 if there is no room for another.
std::uint64_t add_handle(Kind kind, std::unique_ptr<Object> object);

/// nullptr if the id is not that of an open handle of that kind.
Object* find_handle(Kind kind, std::uint64_t id) noexcept;

/// The same, and the id is no longer valid.
std::unique_ptr<Object> remove_handle(Kind kind, std::uint64_t id) noexcept;

}  // namespace ferrule::capi
