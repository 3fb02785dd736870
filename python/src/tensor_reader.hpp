// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ferrule/dtype.hpp"

namespace ferrule::python {

/// No tensor of torch or numpy has more dimensions.
inline constexpr std::size_t kMaxRank = 64;

/// A tensor of Python in host memory, row-major.
struct HostTensor {
  Dtype dtype = Dtype::kF32;
  std::array<std::uint64_t, kMaxRank> extents;  // Uninitialized beyond `rank` on purpose.
  std::size_t rank = 0;
  const std::byte* data = nullptr;
  /// Holds the memory if that is another object than the tensor that was asked about.
  nanobind::object owner;

  std::span<const std::uint64_t> shape() const { return {extents.data(), rank}; }
};

/// How messages name a tensor: the argument it came in, and its name.
struct TensorName {
  std::string_view argument;
  std::string_view name;

  /// `tensors["lora_A"]`, safe to print.
  std::string to_string() const;
};

enum class ReadOutcome : std::uint8_t {
  kRead,
  /// A tensor of torch in the memory of a device.
  kOnDevice,
  /// Not a tensor of that library.
  kOther,
};

/// Describes `object` if it is a torch.Tensor. Never imports torch. Needs the GIL; raises
/// UnsupportedError for tensors without bytes.
ReadOutcome read_torch(nanobind::handle object, const TensorName& name, HostTensor& out);

/// Describes `object` if it is a numpy.ndarray. Never imports numpy. Needs the GIL.
ReadOutcome read_numpy(nanobind::handle object, const TensorName& name, HostTensor& out);

}  // namespace ferrule::python
