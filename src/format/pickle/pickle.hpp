// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads a pickle without running it (rules: docs/rules/PK.md).
//
// A pickle is a program for a small stack machine: one byte an opcode, its operand after it, STOP
// at the end (PK-1, PK-4). Protocols 0 to 5 add opcodes and change none (PK-2).
//
//   stack   values                                 BININT 1 pushes, TUPLE2 takes two and pushes one
//   marks   heights of the stack                   MARK notes one, TUPLE takes all above it (PK-5)
//   memo    values by number                       PUT stores the top, GET pushes it again (PK-6)
//
// Four kinds of opcodes reach outside. CPython imports and calls for them; here they become values:
//
//   GLOBAL       kGlobal: module and name, known or not, compared with an allow-list (PK-3, PK-7)
//   REDUCE       kCall: what would be called with which arguments (PK-8)
//   BUILD        one more item of that kCall: the state that would be set (PK-8)
//   BINPERSID    kPersistent: the id by which torch finds a storage (PK-9)
//
// PicklePolicy says what happens at a thing that no state dict needs: kRefuse ends there, kNote
// lists it and goes on (for `ferrule scan`), kSkip goes on with a stand-in.

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "format/pickle/pickle_globals.hpp"
#include "format/pickle/pickle_opcodes.hpp"

namespace ferrule::format {

/// A value that a pickle describes. Nothing of it was ever run: a call is a note of what would be
/// called with which arguments.
struct PickleValue {
  enum class Kind : std::uint8_t {
    kNone,
    kBool,
    kInt,
    kFloat,
    /// An integer beyond 64 bits; `text` holds its little-endian bytes.
    kBigInt,
    kString,
    kBytes,
    kTuple,
    kList,
    kDict,
    kSet,
    kGlobal,
    /// Items of the node: the callable, its arguments (one value), and what BUILD added.
    kCall,
    /// Item of the node: the persistent id.
    kPersistent,
  };

  PickleValue() = default;
  explicit PickleValue(Kind of_kind, std::size_t of_ref = 0) noexcept
      : kind(of_kind), ref(static_cast<std::uint32_t>(of_ref)) {}

  Kind kind = Kind::kNone;
  /// Of a container, a call or a global: its index. Of a text: its length.
  std::uint32_t ref = 0;
  union {
    std::int64_t integer = 0;
    double real;
    const char* text;
  };

  std::string_view string() const noexcept { return {text, ref}; }
};

/// "an int", "a dict": for messages.
std::string_view describe(PickleValue::Kind kind) noexcept;

/// A container, call or persistent id. A dict holds keys and values in turn.
struct PickleNode {
  std::vector<PickleValue> items;
  std::uint32_t depth = 1;
};

/// A global that a pickle names, whether or not it is on the allow-list.
struct PickleGlobal {
  std::string_view module;
  std::string_view name;
  GlobalFacts facts;
  std::uint64_t offset = 0;
};

/// Something that would run code on unpickling.
struct PickleEvent {
  Opcode opcode = Opcode::kGlobal;
  std::uint64_t offset = 0;
  /// What it names, "module.name"; empty if that is computed.
  std::string global;
  /// In words, where the opcode alone does not say it.
  std::string note;
  GlobalThreat threat = GlobalThreat::kUnknown;
};

/// Bounds on what a pickle may make us hold; all are checked before memory is taken (PK-7).
struct PickleLimits {
  std::uint64_t string_bytes = 1 << 20;
  std::uint64_t global_bytes = 1024;
  std::uint64_t stack = 1 << 20;
  std::uint32_t depth = 512;
  /// Containers, globals and memo entries together: `spare`, and one for each so many bytes of the
  /// pickle (state dicts spend six or more), and never more than `most`.
  std::uint64_t spare = 65536;
  std::uint64_t bytes_each = 3;
  std::uint64_t most = std::uint64_t{16} << 20;
};

enum class PicklePolicy : std::uint8_t {
  /// Refuse whatever is not on the allow-list.
  kRefuse,
  /// Note it as an event and go on with a stand-in.
  kNote,
  /// Go on with a stand-in: for files of which one part is wanted and holds none.
  kSkip,
  /// For files of trainers, which hold their own classes next to the weights: go on with a stand-in
  /// for a class that nothing is known about, refuse what is known to run code (PK-21).
  kTrainer,
  /// kRefuse with the longer list for the `.metadata` of a DCP checkpoint (PK-22).
  kDcpMetadata,
};

/// One pickle, read. Texts point into the bytes it was read from or into this object; moving it
/// invalidates nothing.
class Pickle {
 public:
  /// Reads the pickle at the start of `bytes`, up to its STOP. `bytes` must outlive the result.
  /// Fails with kCorrupt, kUnsupported or kLimitExceeded (rules PK-1 to PK-9).
  static Result<Pickle> read(std::span<const std::byte> bytes, const PickleLimits& limits = {},
                             PicklePolicy policy = PicklePolicy::kRefuse);

  /// Reads as far as it can be read, and tells what would run up to there.
  struct Scan {
    std::vector<PickleEvent> events;
    /// Calls among what would run: an import by itself happens by chance in a text that is not a
    /// pickle.
    std::uint64_t calls = 0;
    /// After STOP, or where reading broke off.
    std::uint64_t end = 0;
    /// Why it broke off; nothing after `end` is known then.
    std::optional<Error> failure;
  };
  static Scan scan(std::span<const std::byte> bytes, const PickleLimits& limits = {});

  const PickleValue& root() const noexcept { return root_; }
  /// After STOP.
  std::uint64_t end() const noexcept { return end_; }
  const PickleNode& node(const PickleValue& value) const noexcept { return nodes_[value.ref]; }
  const PickleGlobal& global(const PickleValue& value) const noexcept {
    return globals_[value.ref];
  }
  /// Every persistent id, in the order of the stream.
  std::span<const PickleValue> persistent_ids() const noexcept { return persistent_ids_; }

 private:
  friend class PickleMachine;
  friend class PickleCalls;
  friend class PickleState;
  PickleValue root_;
  std::uint64_t end_ = 0;
  std::vector<PickleNode> nodes_;
  std::vector<PickleGlobal> globals_;
  std::vector<PickleValue> persistent_ids_;
  std::deque<std::string> texts_;  // Decoded ones; a deque does not move them.
};

}  // namespace ferrule::format
