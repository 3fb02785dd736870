// SPDX-License-Identifier: Apache-2.0
#include "format/torch/torch_encode.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/byte_source.hpp"
#include "format/zip/zip_bytes.hpp"
#include "format/zip/zip_directory.hpp"
#include "temp_dir.hpp"

namespace ferrule::format {
namespace {

using namespace std::string_view_literals;
using Shape = std::vector<std::uint64_t>;

const Shape kScalar = {};
const Shape kTwo = {2};
const Shape kFour = {4};
const Shape kSix = {6};
const Shape kTwoByThree = {2, 3};
const Shape kOneByTwo = {1, 2};
const Shape kLong = {70000};
const Shape kFourDims = {1, 1, 1, 300};
const Shape kOne = {1};

struct Row {
  const char* what;
  std::vector<TorchOutputStorage> storages;
  std::vector<TorchOutputTensor> tensors;
  std::string_view pickle;
};

// data.pkl of torch.save (2.13) of an OrderedDict of the same tensors.
TEST(TorchEncode, WritesThePickleThatTorchWrites) {
  const Row rows[] =
      {
          {"no tensor", {}, {}, "\x80\x02\x63\x63ollections\nOrderedDict\nq\x00)Rq\x01."sv},
          {"w = zeros(2, 3)",
           {{Dtype::kF32, 24}},
           {{"w", Dtype::kF32, kTwoByThree}},
           "\x80\x02\x63\x63ollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00wq\x02\x63torch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04\x63torch\nFloatStorage\nq\x05X\x01\x00\x00\x00\x30q\x06X\x03\x00\x00\x00\x63puq\x07K\x06tq\x08QK\x00K\x02K\x03\x86q\x09K\x03K\x01\x86q\n\x89h\x00)Rq\x0btq\x0cRq\x0ds."sv},
          {"a = arange(6.), b = a[2:4]",
           {{Dtype::kF32, 24}},
           {{"a", Dtype::kF32, kSix}, {"b", Dtype::kF32, kTwo, {}, 0, 8}},
           "\x80\x02\x63\x63ollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00\x61q\x02\x63torch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04\x63torch\nFloatStorage\nq\x05X\x01\x00\x00\x00\x30q\x06X\x03\x00\x00\x00\x63puq\x07K\x06tq\x08QK\x00K\x06\x85q\x09K\x01\x85q\n\x89h\x00)Rq\x0btq\x0cRq\x0dX\x01\x00\x00\x00\x62q\x0eh\x03((h\x04h\x05h\x06h\x07K\x06tq\x0fQK\x02K\x02\x85q\x10K\x01\x85q\x11\x89h\x00)Rq\x12tq\x13Rq\x14u."sv},
          {"a = zeros(3, 2).t()",
           {{Dtype::kF32, 24}},
           {{"a", Dtype::kF32, kTwoByThree, kOneByTwo}},
           "\x80\x02\x63\x63ollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00\x61q\x02\x63torch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04\x63torch\nFloatStorage\nq\x05X\x01\x00\x00\x00\x30q\x06X\x03\x00\x00\x00\x63puq\x07K\x06tq\x08QK\x00K\x02K\x03\x86q\x09K\x01K\x02\x86q\n\x89h\x00)Rq\x0btq\x0cRq\x0ds."sv},
          {"a scalar",
           {{Dtype::kI64, 8}},
           {{"s", Dtype::kI64, kScalar}},
           "\x80\x02\x63\x63ollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00sq\x02\x63torch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04\x63torch\nLongStorage\nq\x05X\x01\x00\x00\x00\x30q\x06X\x03\x00\x00\x00\x63puq\x07K\x01tq\x08QK\x00))\x89h\x00)Rq\x09tq\nRq\x0bs."sv},
          {"float8_e4m3fn",
           {{Dtype::kF8E4M3, 4}},
           {{"q", Dtype::kF8E4M3, kFour}},
           "\x80\x02\x63\x63ollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00qq\x02\x63torch._utils\n_rebuild_tensor_v3\nq\x03((X\x07\x00\x00\x00storageq\x04\x63torch.storage\nUntypedStorage\nq\x05X\x01\x00\x00\x00\x30q\x06X\x03\x00\x00\x00\x63puq\x07K\x04tq\x08QK\x00K\x04\x85q\x09K\x01\x85q\n\x89h\x00)Rq\x0b\x63torch\nfloat8_e4m3fn\nq\x0ctq\x0dRq\x0es."sv},
          {"uint16",
           {{Dtype::kU16, 4}},
           {{"u", Dtype::kU16, kTwo}},
           "\x80\x02\x63\x63ollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00uq\x02\x63torch._utils\n_rebuild_tensor_v3\nq\x03((X\x07\x00\x00\x00storageq\x04\x63torch.storage\nUntypedStorage\nq\x05X\x01\x00\x00\x00\x30q\x06X\x03\x00\x00\x00\x63puq\x07K\x04tq\x08QK\x00K\x02\x85q\x09K\x01\x85q\n\x89h\x00)Rq\x0b\x63torch\nuint16\nq\x0ctq\x0dRq\x0es."sv},
          {"numbers of each width",
           {{Dtype::kU8, 70000}, {Dtype::kBF16, 600}},
           {{"l", Dtype::kU8, kLong}, {"r", Dtype::kBF16, kFourDims, {}, 1}},
           "\x80\x02\x63\x63ollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00lq\x02\x63torch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04\x63torch\nByteStorage\nq\x05X\x01\x00\x00\x00\x30q\x06X\x03\x00\x00\x00\x63puq\x07Jp\x11\x01\x00tq\x08QK\x00Jp\x11\x01\x00\x85q\x09K\x01\x85q\n\x89h\x00)Rq\x0btq\x0cRq\x0dX\x01\x00\x00\x00rq\x0eh\x03((h\x04\x63torch\nBFloat16Storage\nq\x0fX\x01\x00\x00\x00\x31q\x10h\x07M,\x01tq\x11QK\x00(K\x01K\x01K\x01M,\x01tq\x12(M,\x01M,\x01M,\x01K\x01tq\x13\x89h\x00)Rq\x14tq\x15Rq\x16u."sv},
      };
  for (const auto& row : rows) {
    const auto pickle = encode_torch_pickle(row.storages, row.tensors);
    ASSERT_TRUE(pickle) << row.what << ": " << pickle.error().to_string();
    EXPECT_EQ(*pickle, row.pickle) << row.what;
  }
}

// torch.save (2.13) of {"model": OrderedDict(w=torch.zeros(2, 3))}.
TEST(TorchEncode, AKeyPutsTheTensorsOneLevelDown) {
  const auto pickle =
      encode_torch_pickle(std::vector<TorchOutputStorage>{{Dtype::kF32, 24}},
                          std::vector<TorchOutputTensor>{{"w", Dtype::kF32, kTwoByThree}}, "model");
  EXPECT_EQ(
      pickle.value(),
      "\x80\x02}q\x00X\x05\x00\x00\x00modelq\x01\x63\x63ollections\nOrderedDict\nq\x02)Rq\x03X\x01\x00\x00\x00wq\x04\x63torch._utils\n_rebuild_tensor_v2\nq\x05((X\x07\x00\x00\x00storageq\x06\x63torch\nFloatStorage\nq\x07X\x01\x00\x00\x00\x30q\x08X\x03\x00\x00\x00\x63puq\x09K\x06tq\nQK\x00K\x02K\x03\x86q\x0bK\x03K\x01\x86q\x0c\x89h\x02)Rq\x0dtq\x0eRq\x0fss."sv);
}

TEST(TorchEncode, RefusesDtypesThatTorchLacks) {
  for (const auto dtype : {Dtype::kF6E2M3, Dtype::kF6E3M2}) {
    const auto pickle = encode_torch_pickle(std::vector<TorchOutputStorage>{{dtype, 3}},
                                            std::vector<TorchOutputTensor>{{"w", dtype, kFour}});
    ASSERT_FALSE(pickle);
    EXPECT_EQ(pickle.error().code, ErrorCode::kUnsupported);
  }
}

TEST(TorchEncode, RefusesAnOddNumberOfFourBitFloatsInARow) {
  const std::vector<TorchOutputStorage> storages = {{Dtype::kF4, 1}};
  const auto pickle =
      encode_torch_pickle(storages, std::vector<TorchOutputTensor>{{"w", Dtype::kF4, kOne}});
  ASSERT_FALSE(pickle);
  EXPECT_EQ(pickle.error().code, ErrorCode::kInvalidArgument);
}

// Everything before the last entry, whose hash torch's compiler decides, is torch's to the byte.
TEST(TorchZip, IsMadeOfTheBytesThatTorchWrites) {
  for (const std::string name : {"dtypes", "empty", "layouts", "many"}) {
    const auto file = test::read_file(FERRULE_TEST_DATA "/golden/torch/torch-2.13/" + name + ".pt");
    const auto entries =
        read_zip_directory(MemorySource(test::bytes_of(file)), ZipProfile::kTorch, {});
    ASSERT_TRUE(entries) << name;
    TorchZipEncoder encoder;
    std::string ours;
    for (const auto& entry : *entries) {
      if (entry.name.ends_with("serialization_id")) break;
      ours += encoder.begin_entry(entry.name, entry.bytes);
      ours += file.substr(entry.data_offset, entry.bytes);
      ours += encoder.end_entry(entry.crc32);
    }
    ASSERT_GT(ours.size(), 0U) << name;
    EXPECT_EQ(ours, file.substr(0, ours.size())) << name;
    const auto root = entries->front().name.substr(0, entries->front().name.find('/'));
    ours += encoder.finish(root);
    EXPECT_EQ(ours.size(), file.size()) << name;
    const auto again =
        read_zip_directory(MemorySource(test::bytes_of(ours)), ZipProfile::kTorch, {});
    ASSERT_TRUE(again) << name << ": " << again.error().to_string();
    EXPECT_EQ(again->size(), entries->size()) << name;
  }
}

// APPNOTE 4.5.3: id 1, 16 bytes, both sizes; the fields themselves are all ones.
TEST(TorchZip, AnEntryOfFourGibibytesHasAZip64Descriptor) {
  constexpr std::uint64_t kBytes = 1ULL << 32;
  TorchZipEncoder encoder;
  const auto before = encoder.begin_entry("a/b", kBytes);
  EXPECT_EQ(before.substr(33, 20), "\1\0\x10\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0"sv);
  EXPECT_EQ(before.size() % 64, 0U);
  EXPECT_EQ(encoder.end_entry(0x04030201), "PK\x07\x08\1\2\3\4\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0"sv);
  const auto end = encoder.finish("a");
  const auto central = end.find("PK\1\2");
  ASSERT_NE(central, std::string::npos);
  EXPECT_EQ(end.substr(central + 20, 8), "\xff\xff\xff\xff\xff\xff\xff\xff");
  EXPECT_EQ(end.substr(central + 49, 20), before.substr(33, 20));
}

}  // namespace
}  // namespace ferrule::format
