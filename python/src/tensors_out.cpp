// SPDX-License-Identifier: Apache-2.0
#include "tensors_out.hpp"

#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "dlpack.hpp"
#include "errors.hpp"
#include "ferrule/text.hpp"
#include "ferrule/writable_bytes.hpp"
#include "numpy_facts.hpp"
#include "text.hpp"
#include "torch_facts.hpp"

namespace ferrule::python {

namespace nb = nanobind;

namespace {

using Owner = std::shared_ptr<const void>;

/// A tensor handed to torch: freed by torch, from any thread, when the last user has gone.
struct Handed {
  dlpack::ManagedTensor managed;
  Owner owner;
  /// Extents, then strides.
  std::unique_ptr<std::int64_t[]> more;
  std::int64_t few[8];

  static void free(dlpack::ManagedTensor* self) { delete static_cast<Handed*>(self->manager_ctx); }
};

std::byte* writable(const TensorView& view) {
  // The callers promise that these bytes are our own memory: mappings, buffers.
  return value_or_raise(writable_bytes(view)).data();
}

std::size_t element_bytes(Dtype dtype) { return (bit_width(dtype) + 7) / 8; }

bool aligned(const TensorView& view) {
  return reinterpret_cast<std::uintptr_t>(view.bytes().data()) % element_bytes(view.dtype()) == 0;
}

/// The bytes in memory that is aligned for every dtype.
std::pair<TensorView, Owner> aligned_copy(const TensorView& view) {
  const std::shared_ptr<std::byte[]> copy(new std::byte[view.bytes().size()]);
  std::memcpy(copy.get(), view.bytes().data(), view.bytes().size());
  return {value_or_raise(
              TensorView::make(view.dtype(), view.shape(), {copy.get(), view.bytes().size()})),
          copy};
}

[[noreturn]] void cannot_make(std::string_view name, const std::string& why) {
  raise(ErrorCode::kUnsupported, "tensor " + quote(name) + " " + why);
}

/// torch's shape: each place of a float4 tensor holds two elements.
std::vector<std::int64_t> torch_shape(std::string_view name, const TensorView& view) {
  std::vector<std::int64_t> shape(view.shape().begin(), view.shape().end());
  if (view.dtype() != Dtype::kF4) return shape;
  if (shape.empty() || shape.back() % 2 != 0) {
    cannot_make(name, "is F4 with an odd last dimension, and torch keeps F4 in pairs");
  }
  shape.back() /= 2;
  return shape;
}

[[noreturn]] void cannot_make_dtype(std::string_view name, const TensorView& view) {
  cannot_make(name,
              "is " + std::string(dtype_name(view.dtype())) + ", which this torch does not have");
}

nb::object by_exchange(const TorchFacts& torch, std::string_view name, const TensorView& view,
                       const Owner& owner) {
  const auto type = dlpack::from_dtype(view.dtype());
  if (!type || !torch.torch_dtype(view.dtype()).is_valid()) cannot_make_dtype(name, view);
  const auto rank = view.shape().size();
  auto handed = std::make_unique<Handed>();
  std::int64_t* shape = handed->few;
  if (2 * rank > std::size(handed->few)) {
    handed->more = std::make_unique<std::int64_t[]>(2 * rank);
    shape = handed->more.get();
  }
  for (std::size_t i = 0; i < rank; ++i) shape[i] = static_cast<std::int64_t>(view.shape()[i]);
  if (view.dtype() == Dtype::kF4) shape[rank - 1] = torch_shape(name, view).back();
  std::int64_t* strides = shape + rank;
  std::int64_t stride = 1;
  for (std::size_t i = rank; i-- > 0; stride *= std::max<std::int64_t>(shape[i], 1)) {
    strides[i] = stride;
  }
  handed->owner = owner;
  handed->managed = {.version = {dlpack::kMajorVersion, 0},
                     .manager_ctx = handed.get(),
                     .deleter = &Handed::free,
                     .flags = 0,
                     .tensor = {.data = writable(view),
                                .device = {dlpack::kCpu, 0},
                                .ndim = static_cast<std::int32_t>(rank),
                                .dtype = *type,
                                .shape = shape,
                                .strides = strides,
                                .byte_offset = 0}};
  // torch owns it from here on, even if it fails: it does not report whether it was freed.
  auto* managed = &handed.release()->managed;
  void* out = nullptr;
  if (torch.api->managed_tensor_to_py_object_no_sync(managed, &out) != 0) {
    throw nb::python_error();
  }
  return nb::steal(static_cast<PyObject*>(out));
}

/// The bytes as something with a buffer that keeps the owner.
nb::object buffer_of(const TensorView& view, const Owner& owner) {
  const nb::capsule keeper(new Owner(owner),
                           [](void* kept) noexcept { delete static_cast<Owner*>(kept); });
  const std::size_t shape[1] = {view.bytes().size()};
  return nb::cast(
      nb::ndarray<nb::memview, std::uint8_t>(writable(view), 1, shape, nb::handle(keeper)));
}

nb::object by_frombuffer(const TorchFacts& torch, std::string_view name, const TensorView& view,
                         const Owner& owner) {
  const nb::handle dtype = torch.torch_dtype(view.dtype());
  if (!dtype.is_valid()) cannot_make_dtype(name, view);
  nb::list shape;
  for (const auto extent : torch_shape(name, view)) shape.append(extent);
  if (view.bytes().empty()) {
    return torch.module.attr("empty")(shape, nb::arg("dtype") = dtype, nb::arg("device") = "cpu");
  }
  const nb::object bytes = torch.module.attr("frombuffer")(
      buffer_of(view, owner), nb::arg("dtype") = torch.torch_dtype(Dtype::kU8));
  return bytes.attr("view")(dtype).attr("view")(shape);
}

nb::object to_numpy(std::string_view name, const TensorView& view, const Owner& owner) {
  const auto& numpy = NumpyFacts::import_it();
  const nb::object dtype = numpy.numpy_dtype(view.dtype(), name);
  nb::list extents;
  for (const auto extent : view.shape()) extents.append(extent);
  const nb::tuple shape(extents);
  if (view.bytes().empty()) return numpy.array_type(shape, dtype);
  return numpy.array_type(shape, dtype, buffer_of(view, owner));
}

}  // namespace

Framework framework_of(std::string_view name) {
  if (name == "torch" || name == "pt") return Framework::kTorch;
  if (name == "numpy" || name == "np") return Framework::kNumpy;
  wrong_value("framework", R"("torch" or "numpy")", name);
}

nb::object to_tensor(Framework framework, std::string_view name, const TensorView& view,
                     const std::shared_ptr<const void>& owner) {
  if (!aligned(view)) {
    const auto [copy, copy_owner] = aligned_copy(view);
    return to_tensor(framework, name, copy, copy_owner);
  }
  if (framework == Framework::kNumpy) return to_numpy(name, view, owner);
  const auto& torch = TorchFacts::import_it();
  if (torch.api != nullptr) return by_exchange(torch, name, view, owner);
  return by_frombuffer(torch, name, view, owner);
}

}  // namespace ferrule::python
