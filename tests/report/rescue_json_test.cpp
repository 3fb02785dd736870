// SPDX-License-Identifier: Apache-2.0
#include "ferrule/rescue_json.hpp"

#include <gtest/gtest.h>

#include "ferrule/json.hpp"

namespace ferrule {
namespace {

TEST(RescueJson, OfARescue) {
  RescueReport report;
  report.kind = "a DeepSpeed ZeRO-3 checkpoint";
  report.source = "s";
  report.adapter = "default";
  report.peft_type = "LORA";
  report.tensors = 2;
  report.parameters = 3;
  report.file_bytes = 4;
  report.files = 5;
  report.checkpoint_bytes = 6;
  report.bytes_read = 7;
  constexpr const char* kRest =
      R"("adapter":"default","peft_type":"LORA","tensors":2,"parameters":3,"file_bytes":4,)"
      R"("files_read":5,"checkpoint_bytes":6,"bytes_read":7,"findings":[]})";
  const std::string begin = R"({"output":"o","kind":"a DeepSpeed ZeRO-3 checkpoint","source":"s",)";
  // What the checkpoint does not say is null.
  EXPECT_EQ(Json(to_json(report, "o")).dump(), begin + R"("step":null,"world_size":null,)" + kRest);
  report.step = 500;
  report.world_size = 8;
  EXPECT_EQ(Json(to_json(report, "o")).dump(), begin + R"("step":500,"world_size":8,)" + kRest);
}

TEST(RescueJson, OfAPublication) {
  PublishReport report;
  report.generation = 9;
  report.directory = "r/00000009";
  report.files = 2;
  report.bytes = 3;
  report.shared = 1;
  report.removed = {4, 5};
  EXPECT_EQ(Json(to_json(report)).dump(),
            R"({"generation":9,"directory":"r/00000009","files":2,"bytes":3,"shared":1,)"
            R"("removed":[4,5]})");
}

TEST(RescueJson, OfAShard) {
  SaveShardReport report;
  report.file = "f";
  report.tensors = 2;
  report.file_bytes = 3;
  EXPECT_EQ(Json(to_json(report)).dump(), R"({"file":"f","tensors":2,"file_bytes":3})");
}

}  // namespace
}  // namespace ferrule
