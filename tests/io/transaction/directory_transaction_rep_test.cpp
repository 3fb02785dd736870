// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/directory_transaction_rep.hpp"

#include <gtest/gtest.h>

#include <type_traits>

namespace ferrule::io {
namespace {

// What a save does with its state is tested through DirectoryTransaction; here is what holds
// whatever it does.

TEST(DirectoryTransactionStates, BelongToOneTransactionThatMoves) {
  EXPECT_TRUE(std::is_nothrow_move_constructible_v<DirectoryTransaction>);
  EXPECT_FALSE(std::is_copy_constructible_v<DirectoryTransaction>);
  EXPECT_FALSE(std::is_default_constructible_v<DirectoryTransaction>);
}

}  // namespace
}  // namespace ferrule::io
