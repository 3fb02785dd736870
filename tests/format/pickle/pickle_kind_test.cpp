// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "format/pickle/pickle.hpp"

namespace ferrule::format {
namespace {

using Kind = PickleValue::Kind;

TEST(PickleKinds, AreCalledByTheirPythonTypes) {
  EXPECT_EQ(describe(Kind::kNone), "None");
  EXPECT_EQ(describe(Kind::kBool), "a bool");
  EXPECT_EQ(describe(Kind::kInt), "an int");
  EXPECT_EQ(describe(Kind::kBigInt), "an int");
  EXPECT_EQ(describe(Kind::kFloat), "a float");
  EXPECT_EQ(describe(Kind::kString), "a str");
  EXPECT_EQ(describe(Kind::kBytes), "bytes");
  EXPECT_EQ(describe(Kind::kTuple), "a tuple");
  EXPECT_EQ(describe(Kind::kList), "a list");
  EXPECT_EQ(describe(Kind::kDict), "a dict");
  EXPECT_EQ(describe(Kind::kSet), "a set");
}

TEST(PickleKinds, HaveNamesOfTheirOwnWherePythonHasNone) {
  EXPECT_EQ(describe(Kind::kGlobal), "a class or function");
  EXPECT_EQ(describe(Kind::kCall), "an object");
  EXPECT_EQ(describe(Kind::kPersistent), "a storage");
}

}  // namespace
}  // namespace ferrule::format
