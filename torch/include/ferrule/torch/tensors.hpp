// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/error.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_view.hpp"
#include "ferrule/text.hpp"
#include "ferrule/torch/names.hpp"

namespace ferrule::libtorch {

using at::Tensor;

/// The dtype of that scalar type, or nullopt for those that safetensors does not have (quantized
/// types, complex ones but C64).
inline std::optional<Dtype> to_dtype(at::ScalarType type) noexcept {
  switch (type) {
    case at::kBool:
      return Dtype::kBool;
    case at::kByte:
      return Dtype::kU8;
    case at::kChar:
      return Dtype::kI8;
    case at::kShort:
      return Dtype::kI16;
    case at::kInt:
      return Dtype::kI32;
    case at::kLong:
      return Dtype::kI64;
    case at::kHalf:
      return Dtype::kF16;
    case at::kBFloat16:
      return Dtype::kBF16;
    case at::kFloat:
      return Dtype::kF32;
    case at::kDouble:
      return Dtype::kF64;
    case at::kComplexFloat:
      return Dtype::kC64;
    default:
      return std::nullopt;
  }
}

/// The scalar type of that dtype, or nullopt for those that no LibTorch since 1.13 lacks has.
inline std::optional<at::ScalarType> to_scalar_type(Dtype dtype) noexcept {
  for (const auto type : {at::kBool, at::kByte, at::kChar, at::kShort, at::kInt, at::kLong,
                          at::kHalf, at::kBFloat16, at::kFloat, at::kDouble, at::kComplexFloat}) {
    if (to_dtype(type) == dtype) return type;
  }
  return std::nullopt;
}

namespace detail {

inline Error refuse(ErrorCode code, const char* rule, std::string message) {
  return {.code = code, .rule = rule, .message = std::move(message)};
}

/// Runs `body`, which returns a Result, and turns what LibTorch throws into an Error: nothing of
/// Ferrule throws, not even out of memory.
template <typename Body>
auto guarded(Body&& body) -> decltype(body()) {
  try {
    return std::forward<Body>(body)();
  } catch (const std::exception& error) {
    std::string text = error.what();
    text = text.substr(0, text.find('\n'));  // c10 appends its stack.
    return refuse(ErrorCode::kUnsupported, "LT-12", "LibTorch failed: " + printable(text, 400));
  }
}

/// "[2, 3]", for messages.
template <typename Sizes>
std::string shape_text(const Sizes& sizes) {
  std::string text = "[";
  for (const auto extent : sizes) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(extent);
  }
  return text + "]";
}

/// At most a handful of names, quoted: "a", "b" and 3 more.
template <typename Names>
std::string name_list(const Names& names) {
  constexpr std::size_t kMaxListed = 6;
  std::string text;
  std::size_t listed = 0;
  for (const auto& name : names) {
    if (listed == kMaxListed) break;
    text += (listed == 0 ? "" : ", ") + quote(name);
    ++listed;
  }
  const auto rest = names.size() - listed;
  return rest == 0 ? text : text + " and " + std::to_string(rest) + " more";
}

/// The elements as the bytes that a file holds: contiguous, on the host, conjugation resolved.
/// Shares memory with `tensor` if it is so already.
inline Tensor to_host(const Tensor& tensor) {
  auto host = tensor.detach();
  if (!host.device().is_cpu()) host = host.to(at::kCPU);
  return host.resolve_conj().resolve_neg().contiguous();
}

/// The bytes of a tensor that to_host() made.
inline std::span<const std::byte> bytes_of(const Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

inline std::vector<std::uint64_t> shape_of(const Tensor& tensor) {
  std::vector<std::uint64_t> shape;
  for (const auto extent : tensor.sizes()) shape.push_back(static_cast<std::uint64_t>(extent));
  return shape;
}

}  // namespace detail

/// A tensor of LibTorch with a copy of the values. Fails with kUnsupported for a dtype that
/// LibTorch lacks (LT-9).
inline Result<Tensor> to_tensor(const TensorView& view) {
  return detail::guarded([&]() -> Result<Tensor> {
    const auto type = to_scalar_type(view.dtype());
    if (!type) {
      return detail::refuse(
          ErrorCode::kUnsupported, "LT-9",
          "dtype " + std::string(dtype_name(view.dtype())) + " is not known to LibTorch here");
    }
    std::vector<std::int64_t> sizes;
    for (const auto extent : view.shape()) sizes.push_back(static_cast<std::int64_t>(extent));
    auto tensor = at::empty(sizes, at::TensorOptions().dtype(*type));
    if (!view.bytes().empty()) {
      std::memcpy(tensor.data_ptr(), view.bytes().data(), view.bytes().size());
    }
    return tensor;
  });
}

namespace detail {
using libtorch::to_tensor;
}

}  // namespace ferrule::libtorch
