// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ferrule/result.hpp"

namespace ferrule::format {

/// Every opcode of protocols 0 to 5, by its byte.
enum class Opcode : std::uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kFloat = 'F',
  kInt = 'I',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kLong = 'L',
  kBinInt2 = 'M',
  kNone = 'N',
  kPersId = 'P',
  kBinPersId = 'Q',
  kReduce = 'R',
  kString = 'S',
  kBinString = 'T',
  kShortBinString = 'U',
  kUnicode = 'V',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kEmptyDict = '}',
  kAppends = 'e',
  kGet = 'g',
  kBinGet = 'h',
  kInst = 'i',
  kLongBinGet = 'j',
  kList = 'l',
  kEmptyList = ']',
  kObj = 'o',
  kPut = 'p',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinFloat = 'G',
  kProto = 0x80,
  kNewObj = 0x81,
  kExt1 = 0x82,
  kExt2 = 0x83,
  kExt4 = 0x84,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
  kNextBuffer = 0x97,
  kReadonlyBuffer = 0x98,
};

/// The name that Python's pickletools gives it ("STACK_GLOBAL"); empty for a byte that is none.
std::string_view opcode_name(Opcode opcode) noexcept;

/// One instruction of a pickle.
struct PickleOp {
  Opcode code = Opcode::kStop;
  /// Of the opcode, from the start of the pickle.
  std::uint64_t offset = 0;
  /// A fixed-width operand, zero-extended; for BINFLOAT its bits.
  std::uint64_t number = 0;
  /// The content of a string operand, the digits of a LONG1, or a line without its newline.
  std::string_view text;
  /// The second line of GLOBAL and INST.
  std::string_view second;
};

/// Cuts a byte string into instructions, without giving them any meaning.
class PickleOpReader {
 public:
  explicit PickleOpReader(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  /// Fails with kCorrupt: PK-1 if the bytes end, PK-2 if there is no such opcode, PK-4 if
  /// its operand does not lie inside the bytes.
  Result<PickleOp> next();

  std::uint64_t offset() const noexcept { return at_; }

 private:
  Result<void> read_operand(PickleOp& op);
  Result<std::string_view> take(std::uint64_t bytes, const PickleOp& op);
  Result<std::string_view> take_line(const PickleOp& op);
  Result<std::uint64_t> take_number(std::size_t width, const PickleOp& op);

  std::span<const std::byte> bytes_;
  std::uint64_t at_ = 0;
};

}  // namespace ferrule::format
