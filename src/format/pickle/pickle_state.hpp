// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"
#include "format/pickle/pickle.hpp"

namespace ferrule::format {

/// What a pickle machine holds while it runs: the stack with its marks, the memo, and the values
/// made so far, each within its limit. Private to the stack machine.
class PickleState {
 protected:
  using Kind = PickleValue::Kind;

  PickleState(std::span<const std::byte> bytes, const PickleLimits& limits, PicklePolicy policy)
      : reader_(bytes),
        limits_(limits),
        policy_(policy),
        budget_(std::min(limits.most, limits.spare + bytes.size() / limits.bytes_each)) {}

  static constexpr std::size_t kMaxEvents = 1000;

  /// True if only what is on a list may be in the pickle.
  bool is_strict() const noexcept {
    return policy_ == PicklePolicy::kRefuse || policy_ == PicklePolicy::kDcpMetadata;
  }

  // Errors.

  Error failure(ErrorCode code, std::string rule, const std::string& what) const {
    return base::make_error(code, rule,
                            "pickle offset " + std::to_string(op_.offset) + ": " +
                                std::string(opcode_name(op_.code)) + " " + what);
  }
  Error corrupt(std::string rule, const std::string& what) const {
    return failure(ErrorCode::kCorrupt, std::move(rule), what);
  }
  Error limit(const std::string& what) const {
    return failure(ErrorCode::kLimitExceeded, "PK-7", what);
  }

  /// Something that the policy decides about.
  Result<void> forbidden(std::string rule, const std::string& global, const std::string& what,
                         GlobalThreat threat = GlobalThreat::kUnknown) {
    if (is_strict()) return corrupt(std::move(rule), what);
    if (policy_ == PicklePolicy::kTrainer) {
      const bool unnamed = rule == "PK-2" || (rule == "PK-3" && global.empty());
      if (unnamed || threat == GlobalThreat::kDangerous) return corrupt("PK-21", what);
      return {};
    }
    if (policy_ == PicklePolicy::kSkip) return {};
    if (events_.size() == kMaxEvents) return limit("is one of more than 1000 things to report");
    events_.push_back({.opcode = op_.code,
                       .offset = op_.offset,
                       .global = global,
                       .note = what,
                       .threat = threat});
    return {};
  }

  // Stack, memo, arena.

  std::size_t fence() const { return marks_.empty() ? 0 : marks_.back(); }

  Result<void> push(PickleValue value) {
    if (stack_.size() >= limits_.stack) {
      return limit("needs more than " + std::to_string(limits_.stack) + " values on the stack");
    }
    stack_.push_back(value);
    return {};
  }

  Result<PickleValue> pop() {
    if (stack_.size() <= fence()) return corrupt("PK-5", "finds no value on the stack");
    const PickleValue value = stack_.back();
    stack_.pop_back();
    return value;
  }

  Result<PickleValue*> top() {
    if (stack_.size() <= fence()) return corrupt("PK-5", "finds no value on the stack");
    return &stack_.back();
  }

  Result<std::vector<PickleValue>> pop_mark() {
    if (marks_.empty()) return corrupt("PK-5", "finds no mark on the stack");
    const auto start = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleValue> items(start, stack_.end());
    stack_.erase(start, stack_.end());
    marks_.pop_back();
    return items;
  }

  Result<void> spend() {
    if (spent_ >= budget_) {
      return limit("is one of more than " + std::to_string(budget_) +
                   " containers, globals and memo entries: too many for a pickle of this size");
    }
    ++spent_;
    return {};
  }

  Result<void> spend_items(std::size_t count) {
    items_ += count;
    if (items_ <= 4 * budget_) return {};
    return limit("brings the items of all containers to more than " + std::to_string(4 * budget_));
  }

  Result<void> check_depth(std::uint32_t depth) const {
    if (depth <= limits_.depth) return {};
    return limit("nests deeper than " + std::to_string(limits_.depth));
  }

  std::uint32_t depth_of(const PickleValue& value) const {
    switch (value.kind) {
      case Kind::kTuple:
      case Kind::kList:
      case Kind::kDict:
      case Kind::kSet:
      case Kind::kCall:
      case Kind::kPersistent:
        return pickle_.nodes_[value.ref].depth;
      default:
        return 0;
    }
  }

  Result<PickleValue> make_node(Kind kind, std::vector<PickleValue> items) {
    FERRULE_CHECK(spend());
    FERRULE_CHECK(spend_items(items.size()));
    PickleNode node;
    for (const auto& item : items) node.depth = std::max(node.depth, depth_of(item) + 1);
    FERRULE_CHECK(check_depth(node.depth));
    node.items = std::move(items);
    PickleValue value(kind, pickle_.nodes_.size());
    pickle_.nodes_.push_back(std::move(node));
    return value;
  }

  Result<void> push_node(Kind kind, std::vector<PickleValue> items) {
    FERRULE_TRY(const auto value, make_node(kind, std::move(items)));
    return push(value);
  }

  Result<void> extend(const PickleValue& container, std::span<const PickleValue> items) {
    FERRULE_CHECK(spend_items(items.size()));
    auto& node = pickle_.nodes_[container.ref];
    std::uint32_t depth = node.depth;
    for (const auto& item : items) depth = std::max(depth, depth_of(item) + 1);
    FERRULE_CHECK(check_depth(depth));
    node.depth = depth;
    node.items.insert(node.items.end(), items.begin(), items.end());
    return {};
  }

  Result<PickleValue> text_value(Kind kind, std::string_view text) const {
    if (text.size() > limits_.string_bytes) {
      return limit("has a text of " + std::to_string(text.size()) + " bytes, more than " +
                   std::to_string(limits_.string_bytes));
    }
    PickleValue value(kind, text.size());
    value.text = text.data();
    return value;
  }

  Result<void> push_string(std::string_view text) {
    // Python 2's str and lone surrogates may be no UTF-8: bytes for us, no name of a tensor.
    FERRULE_TRY(const auto value,
                text_value(base::is_utf8(text) ? Kind::kString : Kind::kBytes, text));
    return push(value);
  }

  Result<void> push_int(std::int64_t value) {
    PickleValue result(Kind::kInt);
    result.integer = value;
    return push(result);
  }

  Result<void> push_bool(bool value) {
    PickleValue result(Kind::kBool);
    result.integer = value ? 1 : 0;
    return push(result);
  }

  Result<void> push_float(double value) {
    PickleValue result(Kind::kFloat);
    result.real = value;
    return push(result);
  }

  Result<void> put(std::uint64_t index) {
    FERRULE_TRY(const auto* value, top());
    if (index < memo_.size()) {
      memo_[index] = *value;
      return {};
    }
    FERRULE_CHECK(spend());
    if (index == memo_.size()) {
      memo_.push_back(*value);
      sparse_memo_.erase(index);
    } else {
      sparse_memo_.insert_or_assign(index, *value);
    }
    return {};
  }

  Result<void> get(std::uint64_t index) {
    if (index < memo_.size()) return push(memo_[index]);
    const auto found = sparse_memo_.find(index);
    if (found == sparse_memo_.end()) {
      return corrupt("PK-6", "reads memo entry " + std::to_string(index) + ", which nothing wrote");
    }
    return push(found->second);
  }

  PickleOpReader reader_;
  const PickleLimits& limits_;
  PicklePolicy policy_;
  std::uint64_t budget_;
  std::uint64_t spent_ = 0;
  std::uint64_t items_ = 0;
  std::uint64_t calls_ = 0;
  PickleOp op_;
  Pickle pickle_;
  std::vector<PickleValue> stack_;
  std::vector<std::size_t> marks_;
  std::vector<PickleValue> memo_;  // Entries 0 to its size; others are in sparse_memo_.
  std::unordered_map<std::uint64_t, PickleValue> sparse_memo_;
  std::vector<PickleEvent> events_;
};

}  // namespace ferrule::format
