// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_globals.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace ferrule::format {
namespace {

struct Named {
  std::string_view name;
  Dtype dtype;
};

// The correspondence of safetensors.torch.
TEST(PickleGlobals, TorchDtypesAreThoseOfSafetensors) {
  const Named rows[] = {
      {"float64", Dtype::kF64},
      {"float32", Dtype::kF32},
      {"float16", Dtype::kF16},
      {"bfloat16", Dtype::kBF16},
      {"int64", Dtype::kI64},
      {"int32", Dtype::kI32},
      {"int16", Dtype::kI16},
      {"int8", Dtype::kI8},
      {"uint64", Dtype::kU64},
      {"uint32", Dtype::kU32},
      {"uint16", Dtype::kU16},
      {"uint8", Dtype::kU8},
      {"bool", Dtype::kBool},
      {"complex64", Dtype::kC64},
      {"float8_e4m3fn", Dtype::kF8E4M3},
      {"float8_e5m2", Dtype::kF8E5M2},
      {"float8_e4m3fnuz", Dtype::kF8E4M3FNUZ},
      {"float8_e5m2fnuz", Dtype::kF8E5M2FNUZ},
      {"float8_e8m0fnu", Dtype::kF8E8M0},
      {"float4_e2m1fn_x2", Dtype::kF4},
  };
  for (const auto& row : rows) {
    const auto facts = find_global("torch", row.name);
    ASSERT_TRUE(facts) << row.name;
    EXPECT_EQ(facts->id, GlobalId::kDtype) << row.name;
    EXPECT_EQ(facts->dtype, row.dtype) << row.name;
  }
}

// torch.FloatStorage().dtype and so on, of torch 2.13.
TEST(PickleGlobals, StorageClassesHaveTheirDtypeOnCpuAndCuda) {
  const Named rows[] = {
      {"DoubleStorage", Dtype::kF64},       {"FloatStorage", Dtype::kF32},
      {"HalfStorage", Dtype::kF16},         {"BFloat16Storage", Dtype::kBF16},
      {"LongStorage", Dtype::kI64},         {"IntStorage", Dtype::kI32},
      {"ShortStorage", Dtype::kI16},        {"CharStorage", Dtype::kI8},
      {"ByteStorage", Dtype::kU8},          {"BoolStorage", Dtype::kBool},
      {"ComplexFloatStorage", Dtype::kC64},
  };
  for (const auto& row : rows) {
    for (const std::string_view module : {"torch", "torch.cuda"}) {
      const auto facts = find_global(module, row.name);
      ASSERT_TRUE(facts) << module << "." << row.name;
      EXPECT_EQ(facts->id, GlobalId::kStorage);
      EXPECT_EQ(facts->dtype, row.dtype) << row.name;
    }
  }
}

TEST(PickleGlobals, NamesAreComparedWholeAndExactly) {
  const struct {
    std::string_view module;
    std::string_view name;
  } rows[] = {
      {"", ""},
      {"collections", "ordereddict"},
      {"collections", "OrderedDict.fromkeys"},
      {"collections.OrderedDict", ""},
      {"collections ", "OrderedDict"},
      {"torch", "float32 "},
      {"torch", "load"},
      {"torch.torch", "FloatStorage"},
      {"torch._utils", "_rebuild_tensor_v2.__globals__"},
      {"torch._utils", "_rebuild"},
      {"builtins", "eval"},
      {"builtins", "getattr"},
      {"os", "system"},
  };
  for (const auto& row : rows) {
    EXPECT_FALSE(find_global(row.module, row.name)) << row.module << "." << row.name;
  }
}

TEST(PickleGlobals, WhatIsRefusedHasAName) {
  EXPECT_EQ(find_global("torch._utils", "_rebuild_qtensor")->id, GlobalId::kRefusedTensor);
  EXPECT_EQ(find_global("torch", "complex128")->id, GlobalId::kRefusedDtype);
  EXPECT_FALSE(find_global("torch._utils", "_rebuild_sparse_tensor")->what.empty());
  EXPECT_FALSE(find_global("torch", "qint8")->what.empty());
}

TEST(PickleGlobals, NotoriousModulesIncludeWhatIsBelowThem) {
  for (const std::string_view module :
       {"os", "os.path", "subprocess", "torch.hub", "urllib.request"}) {
    EXPECT_FALSE(notorious_global(module, "anything").empty()) << module;
  }
  EXPECT_EQ(notorious_global("builtins", "eval"), "runs Python code");
  EXPECT_EQ(notorious_global("torch", "load"), "runs Python code");
  for (const std::string_view module : {"", "osmium", "os_path", "my.os", "torch", "numpy"}) {
    EXPECT_TRUE(notorious_global(module, "anything").empty()) << module;
  }
}

// A name on both lists would be warned about and loaded.
TEST(PickleGlobals, NothingAllowedIsNotorious) {
  EXPECT_TRUE(notorious_global("collections", "OrderedDict").empty());
  EXPECT_TRUE(notorious_global("torch._utils", "_rebuild_tensor_v2").empty());
  EXPECT_TRUE(notorious_global("torch", "FloatStorage").empty());
  EXPECT_TRUE(notorious_global("_codecs", "encode").empty());
}

}  // namespace
}  // namespace ferrule::format
