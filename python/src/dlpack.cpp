// SPDX-License-Identifier: Apache-2.0
#include "dlpack.hpp"

namespace ferrule::python::dlpack {
namespace {

struct Row {
  Dtype dtype;
  DataType type;
};

// Codes of DLPack 1.x: 0 int, 1 uint, 2 float, 4 bfloat, 5 complex, 6 bool, 10 to 14 the float8
// types, 17 float4.
constexpr Row kRows[] = {
    {Dtype::kF32, {2, 32, 1}},    {Dtype::kBF16, {4, 16, 1}},
    {Dtype::kF16, {2, 16, 1}},    {Dtype::kI64, {0, 64, 1}},
    {Dtype::kF64, {2, 64, 1}},    {Dtype::kI32, {0, 32, 1}},
    {Dtype::kI16, {0, 16, 1}},    {Dtype::kI8, {0, 8, 1}},
    {Dtype::kU8, {1, 8, 1}},      {Dtype::kBool, {6, 8, 1}},
    {Dtype::kU16, {1, 16, 1}},    {Dtype::kU32, {1, 32, 1}},
    {Dtype::kU64, {1, 64, 1}},    {Dtype::kC64, {5, 64, 1}},
    {Dtype::kF8E4M3, {10, 8, 1}}, {Dtype::kF8E4M3FNUZ, {11, 8, 1}},
    {Dtype::kF8E5M2, {12, 8, 1}}, {Dtype::kF8E5M2FNUZ, {13, 8, 1}},
    {Dtype::kF8E8M0, {14, 8, 1}}, {Dtype::kF4, {17, 4, 2}},
};

}  // namespace

std::optional<Dtype> to_dtype(DataType type) noexcept {
  for (const auto& row : kRows) {
    if (row.type.code == type.code && row.type.bits == type.bits && row.type.lanes == type.lanes) {
      return row.dtype;
    }
  }
  return std::nullopt;
}

std::optional<DataType> from_dtype(Dtype dtype) noexcept {
  for (const auto& row : kRows) {
    if (row.dtype == dtype) return row.type;
  }
  return std::nullopt;
}

}  // namespace ferrule::python::dlpack
