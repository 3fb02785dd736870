// SPDX-License-Identifier: Apache-2.0
#include <string_view>
#include <utility>

#include "errors.hpp"
#include "numpy_facts.hpp"
#include "tensor_reader.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;

ReadOutcome read_numpy(nb::handle object, const TensorName& name, HostTensor& out) {
  const NumpyFacts* numpy = NumpyFacts::loaded();
  if (numpy == nullptr || !numpy->is_array(object)) return ReadOutcome::kOther;
  nb::object array = nb::borrow(object);
  const nb::object descriptor = array.attr("dtype");
  const auto dtype = numpy->dtype_of(descriptor);
  if (!dtype) {
    raise(ErrorCode::kUnsupported,
          name.to_string() + ": safetensors has no dtype for numpy's " + text_of(descriptor));
  }
  if (!nb::cast<bool>(descriptor.attr("isnative"))) {
    array = array.attr("astype")(descriptor.attr("newbyteorder")("="));
  }
  if (!nb::cast<bool>(array.attr("flags")["C_CONTIGUOUS"])) {
    // Not numpy.ascontiguousarray, which gives a scalar a dimension.
    array = array.attr("copy")("C");
  }
  const nb::tuple shape = nb::cast<nb::tuple>(array.attr("shape"));
  if (shape.size() > kMaxRank)
    raise(ErrorCode::kUnsupported, name.to_string() + ": has more than 64 dimensions");
  out.dtype = *dtype;
  out.rank = shape.size();
  for (std::size_t i = 0; i < out.rank; ++i) out.extents[i] = nb::cast<std::uint64_t>(shape[i]);
  // Not the buffer protocol, which has no word for bfloat16 and float8.
  const nb::object place = array.attr("__array_interface__")["data"];
  out.data = reinterpret_cast<const std::byte*>(nb::cast<std::uintptr_t>(place[0]));
  if (!array.is(object)) out.owner = std::move(array);
  return ReadOutcome::kRead;
}

}  // namespace ferrule::python
