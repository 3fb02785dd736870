// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_opcodes.hpp"

#include <array>
#include <cstdio>
#include <string>

#include "base/errors.hpp"
#include "base/try.hpp"

namespace ferrule::format {
namespace {

enum class Operand : std::uint8_t {
  kUnknown,
  kNothing,
  kNumber1,
  kNumber2,
  kNumber4,
  kNumber8,
  kBigEndian8,
  kText1,
  kText4,
  kText8,
  kLine,
  kTwoLines,
};

struct OpcodeFacts {
  std::string_view name;
  Operand operand = Operand::kUnknown;
};

struct OpcodeRow {
  Opcode code;
  OpcodeFacts facts;
};

constexpr OpcodeRow kRows[] = {
    {Opcode::kMark, {"MARK", Operand::kNothing}},
    {Opcode::kStop, {"STOP", Operand::kNothing}},
    {Opcode::kPop, {"POP", Operand::kNothing}},
    {Opcode::kPopMark, {"POP_MARK", Operand::kNothing}},
    {Opcode::kDup, {"DUP", Operand::kNothing}},
    {Opcode::kFloat, {"FLOAT", Operand::kLine}},
    {Opcode::kInt, {"INT", Operand::kLine}},
    {Opcode::kBinInt, {"BININT", Operand::kNumber4}},
    {Opcode::kBinInt1, {"BININT1", Operand::kNumber1}},
    {Opcode::kLong, {"LONG", Operand::kLine}},
    {Opcode::kBinInt2, {"BININT2", Operand::kNumber2}},
    {Opcode::kNone, {"NONE", Operand::kNothing}},
    {Opcode::kPersId, {"PERSID", Operand::kLine}},
    {Opcode::kBinPersId, {"BINPERSID", Operand::kNothing}},
    {Opcode::kReduce, {"REDUCE", Operand::kNothing}},
    {Opcode::kString, {"STRING", Operand::kLine}},
    {Opcode::kBinString, {"BINSTRING", Operand::kText4}},
    {Opcode::kShortBinString, {"SHORT_BINSTRING", Operand::kText1}},
    {Opcode::kUnicode, {"UNICODE", Operand::kLine}},
    {Opcode::kBinUnicode, {"BINUNICODE", Operand::kText4}},
    {Opcode::kAppend, {"APPEND", Operand::kNothing}},
    {Opcode::kBuild, {"BUILD", Operand::kNothing}},
    {Opcode::kGlobal, {"GLOBAL", Operand::kTwoLines}},
    {Opcode::kDict, {"DICT", Operand::kNothing}},
    {Opcode::kEmptyDict, {"EMPTY_DICT", Operand::kNothing}},
    {Opcode::kAppends, {"APPENDS", Operand::kNothing}},
    {Opcode::kGet, {"GET", Operand::kLine}},
    {Opcode::kBinGet, {"BINGET", Operand::kNumber1}},
    {Opcode::kInst, {"INST", Operand::kTwoLines}},
    {Opcode::kLongBinGet, {"LONG_BINGET", Operand::kNumber4}},
    {Opcode::kList, {"LIST", Operand::kNothing}},
    {Opcode::kEmptyList, {"EMPTY_LIST", Operand::kNothing}},
    {Opcode::kObj, {"OBJ", Operand::kNothing}},
    {Opcode::kPut, {"PUT", Operand::kLine}},
    {Opcode::kBinPut, {"BINPUT", Operand::kNumber1}},
    {Opcode::kLongBinPut, {"LONG_BINPUT", Operand::kNumber4}},
    {Opcode::kSetItem, {"SETITEM", Operand::kNothing}},
    {Opcode::kTuple, {"TUPLE", Operand::kNothing}},
    {Opcode::kEmptyTuple, {"EMPTY_TUPLE", Operand::kNothing}},
    {Opcode::kSetItems, {"SETITEMS", Operand::kNothing}},
    {Opcode::kBinFloat, {"BINFLOAT", Operand::kBigEndian8}},
    {Opcode::kProto, {"PROTO", Operand::kNumber1}},
    {Opcode::kNewObj, {"NEWOBJ", Operand::kNothing}},
    {Opcode::kExt1, {"EXT1", Operand::kNumber1}},
    {Opcode::kExt2, {"EXT2", Operand::kNumber2}},
    {Opcode::kExt4, {"EXT4", Operand::kNumber4}},
    {Opcode::kTuple1, {"TUPLE1", Operand::kNothing}},
    {Opcode::kTuple2, {"TUPLE2", Operand::kNothing}},
    {Opcode::kTuple3, {"TUPLE3", Operand::kNothing}},
    {Opcode::kNewTrue, {"NEWTRUE", Operand::kNothing}},
    {Opcode::kNewFalse, {"NEWFALSE", Operand::kNothing}},
    {Opcode::kLong1, {"LONG1", Operand::kText1}},
    {Opcode::kLong4, {"LONG4", Operand::kText4}},
    {Opcode::kBinBytes, {"BINBYTES", Operand::kText4}},
    {Opcode::kShortBinBytes, {"SHORT_BINBYTES", Operand::kText1}},
    {Opcode::kShortBinUnicode, {"SHORT_BINUNICODE", Operand::kText1}},
    {Opcode::kBinUnicode8, {"BINUNICODE8", Operand::kText8}},
    {Opcode::kBinBytes8, {"BINBYTES8", Operand::kText8}},
    {Opcode::kEmptySet, {"EMPTY_SET", Operand::kNothing}},
    {Opcode::kAddItems, {"ADDITEMS", Operand::kNothing}},
    {Opcode::kFrozenSet, {"FROZENSET", Operand::kNothing}},
    {Opcode::kNewObjEx, {"NEWOBJ_EX", Operand::kNothing}},
    {Opcode::kStackGlobal, {"STACK_GLOBAL", Operand::kNothing}},
    {Opcode::kMemoize, {"MEMOIZE", Operand::kNothing}},
    {Opcode::kFrame, {"FRAME", Operand::kNumber8}},
    {Opcode::kByteArray8, {"BYTEARRAY8", Operand::kText8}},
    {Opcode::kNextBuffer, {"NEXT_BUFFER", Operand::kNothing}},
    {Opcode::kReadonlyBuffer, {"READONLY_BUFFER", Operand::kNothing}},
};

constexpr std::array<OpcodeFacts, 256> make_table() {
  std::array<OpcodeFacts, 256> table{};
  for (const auto& row : kRows) table[static_cast<std::size_t>(row.code)] = row.facts;
  return table;
}

constexpr std::array<OpcodeFacts, 256> kTable = make_table();

std::string hex_byte(std::uint8_t value) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%02x", value);
  return text;
}

Error broken(std::string rule, const PickleOp& op, const std::string& what) {
  return base::corrupt(rule, "pickle offset " + std::to_string(op.offset) + ": " +
                                 std::string(opcode_name(op.code)) + what);
}

}  // namespace

std::string_view opcode_name(Opcode opcode) noexcept {
  return kTable[static_cast<std::size_t>(opcode)].name;
}

Result<PickleOp> PickleOpReader::next() {
  PickleOp op;
  op.offset = at_;
  if (at_ >= bytes_.size()) {
    return base::corrupt("PK-1",
                         "the pickle ends at offset " + std::to_string(at_) + " without STOP");
  }
  const auto code = std::to_integer<std::uint8_t>(bytes_[at_]);
  op.code = static_cast<Opcode>(code);
  if (kTable[code].operand == Operand::kUnknown) {
    return base::corrupt("PK-2", "pickle offset " + std::to_string(at_) + ": " + hex_byte(code) +
                                     " is not a pickle opcode");
  }
  ++at_;
  FERRULE_CHECK(read_operand(op));
  return op;
}

Result<void> PickleOpReader::read_operand(PickleOp& op) {
  switch (kTable[static_cast<std::size_t>(op.code)].operand) {
    case Operand::kUnknown:
    case Operand::kNothing:
      break;
    case Operand::kNumber1: {
      FERRULE_TRY(op.number, take_number(1, op));
      break;
    }
    case Operand::kNumber2: {
      FERRULE_TRY(op.number, take_number(2, op));
      break;
    }
    case Operand::kNumber4: {
      FERRULE_TRY(op.number, take_number(4, op));
      break;
    }
    case Operand::kNumber8: {
      FERRULE_TRY(op.number, take_number(8, op));
      break;
    }
    case Operand::kBigEndian8: {
      FERRULE_TRY(const auto little, take_number(8, op));
      op.number = __builtin_bswap64(little);
      break;
    }
    case Operand::kText1: {
      FERRULE_TRY(op.number, take_number(1, op));
      FERRULE_TRY(op.text, take(op.number, op));
      break;
    }
    case Operand::kText4: {
      FERRULE_TRY(op.number, take_number(4, op));
      FERRULE_TRY(op.text, take(op.number, op));
      break;
    }
    case Operand::kText8: {
      FERRULE_TRY(op.number, take_number(8, op));
      FERRULE_TRY(op.text, take(op.number, op));
      break;
    }
    case Operand::kLine: {
      FERRULE_TRY(op.text, take_line(op));
      break;
    }
    case Operand::kTwoLines: {
      FERRULE_TRY(op.text, take_line(op));
      FERRULE_TRY(op.second, take_line(op));
      break;
    }
  }
  return {};
}

Result<std::string_view> PickleOpReader::take(std::uint64_t bytes, const PickleOp& op) {
  const std::uint64_t left = bytes_.size() - at_;
  if (bytes > left) {
    return broken("PK-4", op,
                  " has an operand of " + std::to_string(bytes) + " bytes, but " +
                      std::to_string(left) + " are left");
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes);
  at_ += bytes;
  return text;
}

Result<std::string_view> PickleOpReader::take_line(const PickleOp& op) {
  const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_,
                              bytes_.size() - at_);
  const auto end = rest.find('\n');
  if (end == std::string_view::npos) return broken("PK-4", op, " has a line that does not end");
  at_ += end + 1;
  return rest.substr(0, end);
}

Result<std::uint64_t> PickleOpReader::take_number(std::size_t width, const PickleOp& op) {
  FERRULE_TRY(const auto text, take(width, op));
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8 * i);
  }
  return value;
}

}  // namespace ferrule::format
