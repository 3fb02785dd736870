// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "dlpack.hpp"
#include "errors.hpp"
#include "tensor_reader.hpp"
#include "text.hpp"
#include "torch_facts.hpp"

namespace ferrule::python {

namespace nb = nanobind;

namespace {

/// A tensor wherever it is, with any strides.
struct AnyTensor {
  Dtype dtype = Dtype::kF32;
  const std::byte* data = nullptr;
  bool on_host = true;
  std::size_t rank = 0;
  std::array<std::int64_t, kMaxRank> shape;
  std::array<std::int64_t, kMaxRank> strides;

  bool empty() const {
    return std::find(shape.begin(), shape.begin() + rank, 0) != shape.begin() + rank;
  }

  bool contiguous() const {
    std::int64_t expected = 1;
    for (std::size_t i = rank; i-- > 0;) {
      if (shape[i] != 1 && strides[i] != expected) return false;
      expected *= shape[i];
    }
    return true;
  }
};

[[noreturn]] void refuse(const TensorName& name, const std::string& why) {
  raise(ErrorCode::kUnsupported, name.to_string() + ": " + why);
}

[[noreturn]] void refuse_dtype(nb::handle tensor, const TensorName& name) {
  refuse(name, "safetensors has no dtype for " + text_of(tensor.attr("dtype")));
}

/// Raises an error that explains why torch does not give the address of the tensor's bytes. `cause`
/// is torch's own message.
[[noreturn]] void explain(nb::handle tensor, const TensorName& name, const std::string& cause) {
  const auto& torch = *TorchFacts::loaded();
  if (text_of(tensor.attr("device").attr("type")) == "meta") {
    refuse(name, "is a meta tensor, which has no data");
  }
  if (!tensor.attr("layout").is(torch.strided)) {
    refuse(name, "is sparse (" + text_of(tensor.attr("layout")) +
                     "); call .to_dense() on it, which may need much more memory");
  }
  if (nb::cast<bool>(tensor.attr("is_quantized"))) {
    refuse(name, "is quantized (" + text_of(tensor.attr("dtype")) + "); call .dequantize() on it");
  }
  if (!torch.dtype_of(tensor.attr("dtype"))) refuse_dtype(tensor, name);
  const auto type = type_name_of(tensor);
  refuse(name,
         "a " + type + " has no memory of its own" + (cause.empty() ? "" : " (" + cause + ")"));
}

std::string take_python_error() {
  nb::python_error error;
  return error.what();
}

/// Uses torch's table of functions. False if torch refuses; Python's error is set then.
bool describe_by_api(const TorchFacts& torch, nb::handle tensor, const TensorName& name,
                     AnyTensor& out) {
  dlpack::Tensor found;
  if (torch.api->tensor_from_py_object_no_sync(tensor.ptr(), &found) != 0) return false;
  const auto dtype = dlpack::to_dtype(found.dtype);
  if (!dtype) refuse_dtype(tensor, name);
  // torch reports its int1 to int7 and uint1 to uint7 as whole bytes.
  if ((*dtype == Dtype::kI8 || *dtype == Dtype::kU8) &&
      torch.dtype_of(tensor.attr("dtype")) != dtype) {
    refuse_dtype(tensor, name);
  }
  out.dtype = *dtype;
  out.data = static_cast<const std::byte*>(found.data) + found.byte_offset;
  out.on_host = found.device.type == dlpack::kCpu || found.device.type == dlpack::kCudaHost ||
                found.device.type == dlpack::kRocmHost;
  if (found.ndim < 0 || static_cast<std::size_t>(found.ndim) > kMaxRank) {
    refuse(name, "has more than 64 dimensions");
  }
  out.rank = static_cast<std::size_t>(found.ndim);
  std::copy_n(found.shape, out.rank, out.shape.begin());
  if (found.strides != nullptr) {
    std::copy_n(found.strides, out.rank, out.strides.begin());
  } else {
    std::int64_t stride = 1;
    for (std::size_t i = out.rank; i-- > 0; stride *= out.shape[i]) out.strides[i] = stride;
  }
  return true;
}

/// Uses the attributes that every torch has. False if torch refuses.
bool describe_by_attributes(const TorchFacts& torch, nb::handle tensor, const TensorName& name,
                            AnyTensor& out) {
  const auto dtype = torch.dtype_of(tensor.attr("dtype"));
  if (!tensor.attr("layout").is(torch.strided)) explain(tensor, name, "");
  if (!dtype) refuse_dtype(tensor, name);
  const auto device = text_of(tensor.attr("device").attr("type"));
  if (device == "meta") explain(tensor, name, "");
  out.dtype = *dtype;
  out.on_host = device == "cpu";
  const nb::object pointer = nb::steal(PyObject_CallMethod(tensor.ptr(), "data_ptr", nullptr));
  if (!pointer.is_valid()) return false;
  out.data = reinterpret_cast<const std::byte*>(nb::cast<std::uintptr_t>(pointer));
  const nb::object shape = tensor.attr("shape");
  const nb::object strides = tensor.attr("stride")();
  out.rank = nb::len(shape);
  if (out.rank > kMaxRank) refuse(name, "has more than 64 dimensions");
  for (std::size_t i = 0; i < out.rank; ++i) {
    out.shape[i] = nb::cast<std::int64_t>(shape[i]);
    out.strides[i] = nb::cast<std::int64_t>(strides[i]);
  }
  return true;
}

void describe(nb::handle tensor, const TensorName& name, AnyTensor& out) {
  const auto& torch = *TorchFacts::loaded();
  const bool described = torch.api != nullptr ? describe_by_api(torch, tensor, name, out)
                                              : describe_by_attributes(torch, tensor, name, out);
  if (!described) explain(tensor, name, take_python_error());
  if (out.data == nullptr && out.on_host && !out.empty()) explain(tensor, name, "");
}

/// Bits that say "the values are the conjugates (the negatives) of what is in memory".
bool has_lazy_bits(const TorchFacts& torch, nb::handle tensor, Dtype dtype) {
  if (dtype == Dtype::kC64 && torch.is_conj(tensor).is(nb::handle(Py_True))) return true;
  return (dtype == Dtype::kC64 || is_floating_point(dtype)) &&
         torch.is_neg(tensor).is(nb::handle(Py_True));
}

void to_host_tensor(const AnyTensor& found, const TensorName& name, HostTensor& out) {
  out.dtype = found.dtype;
  out.data = found.data;
  out.rank = found.rank;
  for (std::size_t i = 0; i < found.rank; ++i) {
    out.extents[i] = static_cast<std::uint64_t>(found.shape[i]);
  }
  if (found.dtype != Dtype::kF4) return;
  // Each place of torch's shape holds two elements.
  if (found.rank == 0) refuse(name, "a scalar of float4_e2m1fn_x2 has no shape in safetensors");
  out.extents[found.rank - 1] *= 2;
}

}  // namespace

ReadOutcome read_torch(nb::handle object, const TensorName& name, HostTensor& out) {
  const TorchFacts* torch = TorchFacts::loaded();
  if (torch == nullptr) return ReadOutcome::kOther;
  const bool plain = torch->is_plain(object);
  if (!plain && !torch->is_tensor(object)) return ReadOutcome::kOther;
  nb::object tensor = nb::borrow(object);
  if (!plain && nb::hasattr(object, "full_tensor")) tensor = tensor.attr("full_tensor")();
  AnyTensor found;
  describe(tensor, name, found);
  if (found.on_host && has_lazy_bits(*torch, tensor, found.dtype)) {
    tensor = tensor.attr("detach")().attr("resolve_conj")().attr("resolve_neg")();
    describe(tensor, name, found);
  }
  if (!found.on_host) {
    out.owner = std::move(tensor);
    return ReadOutcome::kOnDevice;
  }
  if (!found.empty() && !found.contiguous()) {
    tensor = tensor.attr("detach")().attr("contiguous")();
    describe(tensor, name, found);
  }
  to_host_tensor(found, name, out);
  if (!tensor.is(object)) out.owner = std::move(tensor);
  return ReadOutcome::kRead;
}

}  // namespace ferrule::python
