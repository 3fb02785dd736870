// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "ferrule/dtype.hpp"

/// The structures of DLPack 1.x that cross the boundary to torch, laid out as that standard says.
namespace ferrule::python::dlpack {

inline constexpr std::uint32_t kMajorVersion = 1;

enum DeviceType : std::int32_t {
  kCpu = 1,
  kCuda = 2,
  kCudaHost = 3,
  kRocmHost = 11,
};

struct Version {
  std::uint32_t major;
  std::uint32_t minor;
};

struct Device {
  std::int32_t type;
  std::int32_t id;
};

struct DataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  std::int32_t ndim;
  DataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};

struct ManagedTensor {
  Version version;
  void* manager_ctx;
  void (*deleter)(ManagedTensor* self);
  std::uint64_t flags;
  Tensor tensor;
};

/// What `type.__dlpack_c_exchange_api__` points to.
struct ExchangeApi {
  Version version;
  ExchangeApi* previous;
  void* managed_tensor_allocator;
  int (*managed_tensor_from_py_object_no_sync)(void* object, ManagedTensor** out);
  int (*managed_tensor_to_py_object_no_sync)(ManagedTensor* tensor, void** out);
  int (*tensor_from_py_object_no_sync)(void* object, Tensor* out);
  int (*current_work_stream)(std::int32_t device_type, std::int32_t device_id, void** out);
};

static_assert(std::is_standard_layout_v<ExchangeApi> && sizeof(Tensor) == 48 &&
              offsetof(ManagedTensor, tensor) == 32);

/// The dtype of that code, or nullopt. Sub-byte tensors of torch hold two elements (lanes) at each
/// place of their shape.
std::optional<Dtype> to_dtype(DataType type) noexcept;

/// nullopt for dtypes that DLPack or torch does not have (F6).
std::optional<DataType> from_dtype(Dtype dtype) noexcept;

}  // namespace ferrule::python::dlpack
