// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_opcodes.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace ferrule::format {
namespace {

using namespace std::string_view_literals;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// pickletools.opcodes of Python 3.11.
const std::map<int, std::string_view> kPython = {{0x28, "MARK"},         {0x29, "EMPTY_TUPLE"},
                                                 {0x2e, "STOP"},         {0x30, "POP"},
                                                 {0x31, "POP_MARK"},     {0x32, "DUP"},
                                                 {0x42, "BINBYTES"},     {0x43, "SHORT_BINBYTES"},
                                                 {0x46, "FLOAT"},        {0x47, "BINFLOAT"},
                                                 {0x49, "INT"},          {0x4a, "BININT"},
                                                 {0x4b, "BININT1"},      {0x4c, "LONG"},
                                                 {0x4d, "BININT2"},      {0x4e, "NONE"},
                                                 {0x50, "PERSID"},       {0x51, "BINPERSID"},
                                                 {0x52, "REDUCE"},       {0x53, "STRING"},
                                                 {0x54, "BINSTRING"},    {0x55, "SHORT_BINSTRING"},
                                                 {0x56, "UNICODE"},      {0x58, "BINUNICODE"},
                                                 {0x5d, "EMPTY_LIST"},   {0x61, "APPEND"},
                                                 {0x62, "BUILD"},        {0x63, "GLOBAL"},
                                                 {0x64, "DICT"},         {0x65, "APPENDS"},
                                                 {0x67, "GET"},          {0x68, "BINGET"},
                                                 {0x69, "INST"},         {0x6a, "LONG_BINGET"},
                                                 {0x6c, "LIST"},         {0x6f, "OBJ"},
                                                 {0x70, "PUT"},          {0x71, "BINPUT"},
                                                 {0x72, "LONG_BINPUT"},  {0x73, "SETITEM"},
                                                 {0x74, "TUPLE"},        {0x75, "SETITEMS"},
                                                 {0x7d, "EMPTY_DICT"},   {0x80, "PROTO"},
                                                 {0x81, "NEWOBJ"},       {0x82, "EXT1"},
                                                 {0x83, "EXT2"},         {0x84, "EXT4"},
                                                 {0x85, "TUPLE1"},       {0x86, "TUPLE2"},
                                                 {0x87, "TUPLE3"},       {0x88, "NEWTRUE"},
                                                 {0x89, "NEWFALSE"},     {0x8a, "LONG1"},
                                                 {0x8b, "LONG4"},        {0x8c, "SHORT_BINUNICODE"},
                                                 {0x8d, "BINUNICODE8"},  {0x8e, "BINBYTES8"},
                                                 {0x8f, "EMPTY_SET"},    {0x90, "ADDITEMS"},
                                                 {0x91, "FROZENSET"},    {0x92, "NEWOBJ_EX"},
                                                 {0x93, "STACK_GLOBAL"}, {0x94, "MEMOIZE"},
                                                 {0x95, "FRAME"},        {0x96, "BYTEARRAY8"},
                                                 {0x97, "NEXT_BUFFER"},  {0x98, "READONLY_BUFFER"}};

TEST(PickleOpcodes, AreThoseOfPickletoolsUnderTheSameNames) {
  ASSERT_EQ(kPython.size(), 68U);
  for (int byte = 0; byte < 256; ++byte) {
    const auto row = kPython.find(byte);
    EXPECT_EQ(opcode_name(static_cast<Opcode>(byte)), row == kPython.end() ? "" : row->second)
        << byte;
  }
}

TEST(PickleOpReader, RefusesEveryOtherByte) {
  for (int byte = 0; byte < 256; ++byte) {
    if (kPython.contains(byte)) continue;
    const std::string text(1, static_cast<char>(byte));
    const auto op = PickleOpReader(bytes_of(text)).next();
    ASSERT_FALSE(op) << byte;
    EXPECT_EQ(op.error().rule, "PK-2") << byte;
  }
}

struct Row {
  std::string_view bytes;
  Opcode code;
  std::uint64_t number;
  std::string_view text;
  std::string_view second;
};

TEST(PickleOpReader, ReadsEachKindOfOperand) {
  const Row rows[] = {
      {"N", Opcode::kNone, 0, "", ""},
      {"K\xff", Opcode::kBinInt1, 255, "", ""},
      {"M\x01\x02", Opcode::kBinInt2, 0x0201, "", ""},
      {"J\x01\x02\x03\x84", Opcode::kBinInt, 0x84030201, "", ""},
      {"\x95\x01\x02\x03\x04\x05\x06\x07\x88", Opcode::kFrame, 0x8807060504030201, "", ""},
      {"G\x3f\xf8\0\0\0\0\0\0"sv, Opcode::kBinFloat, 0x3ff8000000000000, "", ""},
      {"C\x02 \n", Opcode::kShortBinBytes, 2, " \n", ""},
      {"X\x02\0\0\0ab"sv, Opcode::kBinUnicode, 2, "ab", ""},
      {"\x8d\x02\0\0\0\0\0\0\0ab"sv, Opcode::kBinUnicode8, 2, "ab", ""},
      {"\x8a\0"sv, Opcode::kLong1, 0, "", ""},
      {"I12\n", Opcode::kInt, 0, "12", ""},
      {"V\n", Opcode::kUnicode, 0, "", ""},
      {"cos\nsystem\n", Opcode::kGlobal, 0, "os", "system"},
      {"ios\nsystem\n", Opcode::kInst, 0, "os", "system"},
  };
  for (const auto& row : rows) {
    PickleOpReader reader(bytes_of(row.bytes));
    const auto op = reader.next();
    ASSERT_TRUE(op) << opcode_name(row.code) << ": " << op.error().message;
    EXPECT_EQ(op->code, row.code);
    EXPECT_EQ(op->text, row.text) << opcode_name(row.code);
    EXPECT_EQ(op->second, row.second) << opcode_name(row.code);
    EXPECT_EQ(op->number, row.number) << opcode_name(row.code);
    EXPECT_EQ(reader.offset(), row.bytes.size()) << opcode_name(row.code);
  }
}

TEST(PickleOpReader, RefusesEveryOperandThatIsCut) {
  for (const auto whole :
       {"K\1"sv, "M\1\2"sv, "J\1\2\3\4"sv, "\x95\1\2\3\4\5\6\7\1"sv, "G\1\2\3\4\5\6\7\1"sv,
        "C\2ab"sv, "X\2\0\0\0ab"sv, "\x8d\2\0\0\0\0\0\0\0ab"sv, "I1\n"sv, "cos\nsystem\n"sv}) {
    for (std::size_t size = 1; size < whole.size(); ++size) {
      const auto op = PickleOpReader(bytes_of(whole.substr(0, size))).next();
      ASSERT_FALSE(op) << whole << " cut to " << size;
      EXPECT_EQ(op.error().rule, "PK-4") << whole << " cut to " << size;
    }
  }
}

TEST(PickleOpReader, ALengthOfAllOnesDoesNotWrap) {
  const auto op = PickleOpReader(bytes_of("\x8e\xff\xff\xff\xff\xff\xff\xff\xff"
                                          "ab"))
                      .next();
  ASSERT_FALSE(op);
  EXPECT_EQ(op.error().rule, "PK-4");
}

TEST(PickleOpReader, TellsTheOffsetOfEachInstruction) {
  PickleOpReader reader(bytes_of("\x80\x02K\x07."));
  EXPECT_EQ(reader.next().value().offset, 0U);
  EXPECT_EQ(reader.next().value().offset, 2U);
  EXPECT_EQ(reader.next().value().offset, 4U);
  const auto end = reader.next();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().rule, "PK-1");
}

}  // namespace
}  // namespace ferrule::format
