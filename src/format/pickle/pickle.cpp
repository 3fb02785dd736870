// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle.hpp"

#include <bit>
#include <utility>

#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/pickle/pickle_calls.hpp"
#include "format/pickle/pickle_text.hpp"

namespace ferrule::format {

using Kind = PickleValue::Kind;

/// The stack machine. It follows CPython's unpickler step by step, but where that would import or
/// call, it writes down what it would have done.
class PickleMachine : PickleCalls {
 public:
  PickleMachine(std::span<const std::byte> bytes, const PickleLimits& limits, PicklePolicy policy)
      : PickleCalls(bytes, limits, policy) {}

  Result<void> run() {
    while (true) {
      FERRULE_TRY(op_, reader_.next());
      if (op_.code == Opcode::kStop) {
        FERRULE_TRY(pickle_.root_, pop());
        pickle_.end_ = reader_.offset();
        if (!stack_.empty() || !marks_.empty()) {
          if (!is_strict()) return {};
          return corrupt("PK-5", "leaves " + std::to_string(stack_.size()) +
                                     " values on the stack besides the result");
        }
        return {};
      }
      FERRULE_CHECK(step());
    }
  }

  Pickle take() { return std::move(pickle_); }
  std::vector<PickleEvent> take_events() { return std::move(events_); }
  std::uint64_t calls() const { return calls_; }
  std::uint64_t offset() const { return reader_.offset(); }

 private:
  Result<std::uint64_t> line_index() const {
    const auto index = parse_decimal(op_.text);
    if (!index || *index < 0) {
      return corrupt("PK-4", "has the malformed memo index " + quote(op_.text, 40));
    }
    return static_cast<std::uint64_t>(*index);
  }

  Result<void> push_decoded(std::optional<std::string> text) {
    // Python knows more escapes; a name that needs them is on no list.
    if (!text && !is_strict()) text = std::string(op_.text);
    if (!text) return corrupt("PK-4", "has a malformed line " + quote(op_.text, 40));
    FERRULE_CHECK(spend());
    pickle_.texts_.push_back(std::move(*text));
    return push_string(pickle_.texts_.back());
  }

  // One instruction.

  Result<void> step() {
    switch (op_.code) {
      case Opcode::kStop:
        return {};
      case Opcode::kProto:
        if (op_.number > 5) {
          return corrupt("PK-2",
                         "announces protocol " + std::to_string(op_.number) + "; 0 to 5 are known");
        }
        return {};
      case Opcode::kFrame:
        return {};
      case Opcode::kNone:
        return push(PickleValue());
      case Opcode::kNewTrue:
        return push_bool(true);
      case Opcode::kNewFalse:
        return push_bool(false);
      case Opcode::kInt:
      case Opcode::kLong:
      case Opcode::kFloat:
        return number_line();
      case Opcode::kBinInt:
        return push_int(static_cast<std::int32_t>(static_cast<std::uint32_t>(op_.number)));
      case Opcode::kBinInt1:
      case Opcode::kBinInt2:
        return push_int(static_cast<std::int64_t>(op_.number));
      case Opcode::kLong1:
      case Opcode::kLong4:
        return binary_long();
      case Opcode::kBinFloat:
        return push_float(std::bit_cast<double>(op_.number));
      case Opcode::kString:
        return push_decoded(parse_string_literal(op_.text));
      case Opcode::kUnicode:
        return push_decoded(parse_unicode_line(op_.text));
      case Opcode::kBinString:
      case Opcode::kShortBinString:
      case Opcode::kBinUnicode:
      case Opcode::kShortBinUnicode:
      case Opcode::kBinUnicode8:
        return push_string(op_.text);
      case Opcode::kBinBytes:
      case Opcode::kShortBinBytes:
      case Opcode::kBinBytes8:
      case Opcode::kByteArray8: {
        FERRULE_TRY(const auto value, text_value(Kind::kBytes, op_.text));
        return push(value);
      }
      case Opcode::kMark:
      case Opcode::kPop:
      case Opcode::kPopMark:
      case Opcode::kDup:
        return stack_step();
      case Opcode::kEmptyTuple:
      case Opcode::kTuple:
      case Opcode::kTuple1:
      case Opcode::kTuple2:
      case Opcode::kTuple3:
      case Opcode::kEmptyList:
      case Opcode::kList:
      case Opcode::kEmptyDict:
      case Opcode::kDict:
      case Opcode::kEmptySet:
      case Opcode::kFrozenSet:
        return container_step();
      case Opcode::kAppend:
      case Opcode::kAppends:
      case Opcode::kSetItem:
      case Opcode::kSetItems:
      case Opcode::kAddItems:
        return fill_step();
      case Opcode::kPut: {
        FERRULE_TRY(const auto index, line_index());
        return put(index);
      }
      case Opcode::kBinPut:
      case Opcode::kLongBinPut:
        return put(op_.number);
      case Opcode::kMemoize:
        return put(memo_.size() + sparse_memo_.size());
      case Opcode::kGet: {
        FERRULE_TRY(const auto index, line_index());
        return get(index);
      }
      case Opcode::kBinGet:
      case Opcode::kLongBinGet:
        return get(op_.number);
      case Opcode::kGlobal:
        return global(op_.text, op_.second);
      case Opcode::kStackGlobal:
        return stack_global();
      case Opcode::kReduce:
      case Opcode::kNewObj:
      case Opcode::kNewObjEx:
      case Opcode::kInst:
      case Opcode::kObj:
        return call_step();
      case Opcode::kBuild:
        return build();
      case Opcode::kBinPersId: {
        FERRULE_TRY(const auto id, pop());
        return persistent(id);
      }
      case Opcode::kPersId:
      case Opcode::kExt1:
      case Opcode::kExt2:
      case Opcode::kExt4:
      case Opcode::kNextBuffer:
      case Opcode::kReadonlyBuffer:
        return refused_step();
    }
    return corrupt("PK-2", "is not known");
  }

  Result<void> number_line() {
    if (op_.code == Opcode::kFloat) {
      const auto value = parse_float(op_.text);
      if (!value && !is_strict()) return push_float(0);
      if (!value) return corrupt("PK-4", "has a malformed number " + quote(op_.text, 40));
      return push_float(*value);
    }
    if (op_.code == Opcode::kInt && (op_.text == "00" || op_.text == "01")) {
      return push_bool(op_.text == "01");
    }
    auto digits = op_.text;
    if (op_.code == Opcode::kLong && digits.ends_with('L')) digits.remove_suffix(1);
    const auto value = parse_decimal(digits);
    if (!value && !is_strict()) return push_int(0);  // Python reads more of them.
    if (!value) {
      return corrupt("PK-4",
                     "has a malformed number or one beyond 64 bits, " + quote(op_.text, 40));
    }
    return push_int(*value);
  }

  Result<void> binary_long() {
    const auto digits = op_.text;
    if (op_.code == Opcode::kLong4 && op_.number > 0x7fffffff) {
      return corrupt("PK-4", "has a negative length");
    }
    if (digits.size() > 8) {
      FERRULE_TRY(const auto value, text_value(Kind::kBigInt, digits));
      return push(value);
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < digits.size(); ++i) {
      value |= std::uint64_t{static_cast<unsigned char>(digits[i])} << (8 * i);
    }
    const bool negative =
        !digits.empty() && (static_cast<unsigned char>(digits.back()) & 0x80) != 0;
    if (negative && digits.size() < 8) value |= ~std::uint64_t{0} << (8 * digits.size());
    return push_int(static_cast<std::int64_t>(value));
  }

  Result<void> stack_step() {
    if (op_.code == Opcode::kMark) {
      if (marks_.size() >= limits_.stack) return limit("is one mark too many");
      marks_.push_back(stack_.size());
      return {};
    }
    if (op_.code == Opcode::kPopMark ||
        (op_.code == Opcode::kPop && !marks_.empty() && stack_.size() == marks_.back())) {
      FERRULE_CHECK(pop_mark());
      return {};
    }
    if (op_.code == Opcode::kDup) {
      FERRULE_TRY(const auto* value, top());
      return push(*value);
    }
    FERRULE_CHECK(pop());
    return {};
  }

  Result<void> container_step() {
    switch (op_.code) {
      case Opcode::kEmptyTuple:
        return push_node(Kind::kTuple, {});
      case Opcode::kEmptyList:
        return push_node(Kind::kList, {});
      case Opcode::kEmptyDict:
        return push_node(Kind::kDict, {});
      case Opcode::kEmptySet:
        return push_node(Kind::kSet, {});
      case Opcode::kTuple1:
      case Opcode::kTuple2:
      case Opcode::kTuple3: {
        const std::size_t count =
            static_cast<std::size_t>(op_.code) - static_cast<std::size_t>(Opcode::kTuple1) + 1;
        if (stack_.size() - fence() < count) return corrupt("PK-5", "finds too few values");
        std::vector<PickleValue> items(stack_.end() - static_cast<std::ptrdiff_t>(count),
                                       stack_.end());
        stack_.resize(stack_.size() - count);
        return push_node(Kind::kTuple, std::move(items));
      }
      default:
        break;
    }
    FERRULE_TRY(auto items, pop_mark());
    if (op_.code == Opcode::kTuple) return push_node(Kind::kTuple, std::move(items));
    if (op_.code == Opcode::kList) return push_node(Kind::kList, std::move(items));
    if (op_.code == Opcode::kFrozenSet) return push_node(Kind::kSet, std::move(items));
    if (items.size() % 2 != 0) return corrupt("PK-5", "finds a key without a value");
    return push_node(Kind::kDict, std::move(items));
  }

  Result<void> fill_step() {
    std::vector<PickleValue> items;
    if (op_.code == Opcode::kAppend || op_.code == Opcode::kSetItem) {
      const std::size_t count = op_.code == Opcode::kAppend ? 1 : 2;
      if (stack_.size() - fence() < count) return corrupt("PK-5", "finds too few values");
      items.assign(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
      stack_.resize(stack_.size() - count);
    } else {
      FERRULE_TRY(items, pop_mark());
    }
    FERRULE_TRY(const auto* container, top());
    const bool pairs = op_.code == Opcode::kSetItem || op_.code == Opcode::kSetItems;
    const Kind expected = pairs                           ? Kind::kDict
                          : op_.code == Opcode::kAddItems ? Kind::kSet
                                                          : Kind::kList;
    if (container->kind != expected) {
      // If it is a stand-in, what made it was noted already; Python sets items of lists, too.
      if (!is_strict()) return {};
      return corrupt("PK-5", "expects " + std::string(describe(expected)) + ", finds " +
                                 std::string(describe(container->kind)));
    }
    if (pairs && items.size() % 2 != 0) return corrupt("PK-5", "finds a key without a value");
    return extend(*container, items);
  }

  // Globals, calls, and what is not followed.

  Result<void> call_step() {
    if (op_.code == Opcode::kInst || op_.code == Opcode::kObj) {
      if (is_strict()) {
        const std::string full = op_.code == Opcode::kInst
                                     ? std::string(op_.text) + "." + std::string(op_.second)
                                     : std::string();
        return corrupt("PK-2", "makes an instance of " +
                                   (full.empty() ? std::string("a class") : quote(full)) +
                                   "; no state dict needs that opcode");
      }
      FERRULE_TRY(auto items, pop_mark());
      if (op_.code == Opcode::kInst) {
        FERRULE_CHECK(global(op_.text, op_.second));
      } else {
        if (items.empty()) return corrupt("PK-5", "finds no class behind the mark");
        FERRULE_CHECK(push(items.front()));
        items.erase(items.begin());
      }
      FERRULE_TRY(const auto callable, pop());
      FERRULE_TRY(const auto arguments, make_node(Kind::kTuple, std::move(items)));
      return call(callable, arguments);
    }
    if (op_.code == Opcode::kNewObjEx) {
      FERRULE_TRY(const auto keywords, pop());
      if (is_strict()) {
        return corrupt("PK-2", "is an opcode that no state dict needs");
      }
      static_cast<void>(keywords);
    }
    FERRULE_TRY(const auto arguments, pop());
    FERRULE_TRY(const auto callable, pop());
    return call(callable, arguments);
  }

  Result<void> refused_step() {
    switch (op_.code) {
      case Opcode::kPersId: {
        if (is_strict()) {
          return corrupt("PK-9", "gives a persistent id as text; torch uses tuples");
        }
        FERRULE_TRY(const auto id, text_value(Kind::kBytes, op_.text));
        return persistent(id);
      }
      case Opcode::kExt1:
      case Opcode::kExt2:
      case Opcode::kExt4:
        FERRULE_CHECK(
            forbidden("PK-2", {},
                      "takes entry " + std::to_string(op_.number) +
                          " of the extension registry, whatever that is where it is read"));
        return push_node(Kind::kCall, {});
      default:
        return corrupt("PK-2", "refers to a buffer outside of the pickle");
    }
  }
};

Result<Pickle> Pickle::read(std::span<const std::byte> bytes, const PickleLimits& limits,
                            PicklePolicy policy) {
  PickleMachine machine(bytes, limits, policy);
  FERRULE_CHECK(machine.run());
  return machine.take();
}

Pickle::Scan Pickle::scan(std::span<const std::byte> bytes, const PickleLimits& limits) {
  PickleMachine machine(bytes, limits, PicklePolicy::kNote);
  const auto done = machine.run();
  Scan result{.events = machine.take_events(),
              .calls = machine.calls(),
              .end = machine.offset(),
              .failure = {}};
  if (!done) result.failure = done.error();
  return result;
}

}  // namespace ferrule::format
