// SPDX-License-Identifier: Apache-2.0
// PK-21 and PK-22: what is a name, a stand-in, or refused in the files of trainers.
#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "format/pickle/pickle.hpp"

namespace ferrule::format {
namespace {

using namespace std::string_literals;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(PickleTrainerGlobals, ListsAreExact) {
  EXPECT_TRUE(find_dcp_global("torch.distributed.checkpoint.metadata", "Metadata"));
  EXPECT_TRUE(find_dcp_global("pathlib", "PosixPath"));
  EXPECT_FALSE(find_dcp_global("torch.distributed.checkpoint.metadata", "metadata"));
  EXPECT_FALSE(find_dcp_global("torch.distributed.checkpoint.metadata.x", "Metadata"));
  EXPECT_FALSE(find_dcp_global("builtins", "object"));
  EXPECT_TRUE(find_trainer_global("functools", "partial"));
  EXPECT_TRUE(find_trainer_global("builtins", "slice"));
  EXPECT_TRUE(find_trainer_global("__builtin__", "xrange"));
  EXPECT_TRUE(find_trainer_global("__builtin__", "getattr"));
  EXPECT_FALSE(find_trainer_global("builtins", "setattr"));
  EXPECT_FALSE(find_trainer_global("builtins", "eval"));
  EXPECT_FALSE(find_trainer_global("functools", "reduce"));
}

struct Row {
  const char* name;
  std::string pickle;
  PicklePolicy policy;
  std::string rule;  ///< Empty if it is read.
};

TEST(PickleTrainerGlobals, PoliciesDiffer) {
  const Row rows[] = {
      {"ours, trainer", "cmine\nConfig\n)\x81}b.", PicklePolicy::kTrainer, ""},
      {"ours, metadata", "cmine\nConfig\n)\x81}b.", PicklePolicy::kDcpMetadata, "PK-3"},
      {"ours, alone", "cmine\nConfig\n)\x81}b.", PicklePolicy::kRefuse, "PK-3"},
      {"a path", "cpathlib\nPosixPath\n(U\1atR.", PicklePolicy::kDcpMetadata, ""},
      {"a path, alone", "cpathlib\nPosixPath\n(U\1atR.", PicklePolicy::kRefuse, "PK-3"},
      {"dangerous", "cposix\nlistdir\n.", PicklePolicy::kTrainer, "PK-21"},
      {"dangerous below a harmless one", "cfunctools\npartial\n(cos\ngetcwd\ntR.",
       PicklePolicy::kTrainer, "PK-21"},
      {"computed", "cmine\nx\nU\1a\x93.", PicklePolicy::kTrainer, "PK-21"},
      {"an enumeration of Python 3.11", "c__builtin__\ngetattr\n(cmine\nKind\nU\1atR.",
       PicklePolicy::kTrainer, ""},
      {"the same, alone", "c__builtin__\ngetattr\n(cmine\nKind\nU\1atR.", PicklePolicy::kRefuse,
       "PK-3"},
      {"an attribute of a result", "c__builtin__\ngetattr\n(cmine\nKind\n)RU\1atR.",
       PicklePolicy::kTrainer, "PK-21"},
      {"an attribute of a dangerous one", "cbuiltins\ngetattr\n(cos\ngetcwd\nU\1atR.",
       PicklePolicy::kTrainer, "PK-21"},
      {"a computed attribute", "cbuiltins\ngetattr\n(cmine\nKind\ncmine\nx\ntR.",
       PicklePolicy::kTrainer, "PK-21"},
      {"the registry", "\x82\1.", PicklePolicy::kTrainer, "PK-21"},
      {"attributes of a module's own", "cmine\nx\n}b.", PicklePolicy::kTrainer, "PK-21"},
  };
  for (const auto& row : rows) {
    const auto pickle = Pickle::read(bytes_of(row.pickle), {}, row.policy);
    if (row.rule.empty()) {
      EXPECT_TRUE(pickle) << row.name << ": " << pickle.error().to_string();
    } else {
      ASSERT_FALSE(pickle) << row.name;
      EXPECT_EQ(pickle.error().rule, row.rule) << row.name;
    }
  }
}

}  // namespace
}  // namespace ferrule::format
