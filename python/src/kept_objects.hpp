// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <utility>
#include <vector>

namespace ferrule::python {

/// References to objects of Python whose memory native code reads. Adding needs the GIL; the
/// destructor takes it.
class KeptObjects {
 public:
  KeptObjects() = default;
  KeptObjects(KeptObjects&& other) noexcept : objects_(std::exchange(other.objects_, {})) {}
  KeptObjects& operator=(KeptObjects&& other) noexcept {
    std::swap(objects_, other.objects_);
    return *this;
  }
  ~KeptObjects() { release(); }

  void reserve(std::size_t count) { objects_.reserve(count); }
  void add(nanobind::handle object) { objects_.push_back(object.inc_ref().ptr()); }

  void release() {
    // Without the interpreter its objects do not exist either.
    if (objects_.empty() || !Py_IsInitialized()) return;
    const nanobind::gil_scoped_acquire gil;
    for (auto* object : std::exchange(objects_, {})) Py_DECREF(object);
  }

 private:
  std::vector<PyObject*> objects_;
};

}  // namespace ferrule::python
