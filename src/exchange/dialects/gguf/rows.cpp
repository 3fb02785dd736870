// SPDX-License-Identifier: Apache-2.0
// Sources: modify_tensors() of the classes in llama.cpp's conversion/*.py.
#include "exchange/dialects/gguf/rows.hpp"

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange::gguf {
namespace {

constexpr std::uint64_t kMaxRows = std::uint64_t{1} << 31;

RowOrder make_order(std::uint64_t rows, const auto& source) {
  auto order = std::make_shared<std::vector<std::uint32_t>>(static_cast<std::size_t>(rows));
  for (std::uint64_t i = 0; i < rows; ++i) {
    (*order)[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(source(i));
  }
  return order;
}

Result<std::uint64_t> count_of(const BaseFacts& base, std::initializer_list<const char*> fields) {
  if (const auto* model = base.model()) {
    for (const auto* field : fields) {
      const auto count = model->integer(field);
      if (count && *count > 0 && *count < (1 << 20)) return static_cast<std::uint64_t>(*count);
    }
  }
  return base::unsupported("EX-4", std::string("llama.cpp changes the order of rows by heads, and "
                                               "the base does not say how many there are (") +
                                       *fields.begin() + "); give --base");
}

Result<std::uint64_t> heads(const BaseFacts& base) {
  return count_of(base, {"num_attention_heads", "n_heads", "n_head"});
}

Result<std::uint64_t> key_value_heads(const BaseFacts& base) {
  if (const auto* model = base.model()) {
    const auto count = model->integer("num_key_value_heads");
    if (count && *count > 0 && *count < (1 << 20)) return static_cast<std::uint64_t>(*count);
  }
  return heads(base);
}

Error does_not_divide(std::string_view path, std::uint64_t rows, std::uint64_t heads) {
  return base::unsupported("EX-9", "module " + quote(path) + " has " + std::to_string(rows) +
                                       " rows, which " + std::to_string(heads) +
                                       " heads of the base do not divide: the adapter is of "
                                       "another model");
}

/// Where row i of llama.cpp's rotary heads of that size is in transformers' order.
std::uint64_t rotated(std::uint64_t i, std::uint64_t size) {
  const auto in_head = i % size;
  return i / size * size + in_head % 2 * (size / 2) + in_head / 2;
}

Result<RowOrder> by_pairs(std::string_view path, std::uint64_t rows, std::uint64_t count) {
  if (rows % (2 * count) != 0) return does_not_divide(path, rows, count);
  const auto size = rows / count;
  return make_order(rows, [&](std::uint64_t i) { return rotated(i, size); });
}

Result<RowOrder> by_heads(std::string_view path, std::uint64_t rows, const BaseFacts& base) {
  FERRULE_TRY(const auto count, heads(base));
  if (rows % (3 * count) != 0) return does_not_divide(path, rows, count);
  const auto size = rows / count / 3;
  return make_order(rows, [&](std::uint64_t i) {
    const auto part = i / (count * size);
    const auto head = i % (count * size) / size;
    return (head * 3 + part) * size + i % size;
  });
}

/// falcon: groups of some q, one k and one v.
Result<RowOrder> by_groups(std::string_view path, std::uint64_t rows, const BaseFacts& base) {
  FERRULE_TRY(const auto count, heads(base));
  const auto& model = *base.model();
  std::uint64_t groups = count;
  const bool one = model.flag("multi_query").value_or(true) &&
                   !model.flag("new_decoder_architecture").value_or(false);
  if (one) {
    groups = 1;
  } else if (const auto kv = model.integer("num_kv_heads"); kv && *kv > 0) {
    groups = static_cast<std::uint64_t>(*kv);
  }
  if (count % groups != 0 || rows % (count + 2 * groups) != 0) {
    return does_not_divide(path, rows, count);
  }
  const auto size = rows / (count + 2 * groups);
  const auto each = count / groups;
  return make_order(rows, [&](std::uint64_t i) {
    const auto head = i / size;
    if (head < count) return (head / each * (each + 2) + head % each) * size + i % size;
    const auto part = (head - count) / groups;
    return ((head - count) % groups * (each + 2) + each + part) * size + i % size;
  });
}

/// internlm2: one of q, k and v out of groups of some q, one k and one v.
Result<RowOrder> of_groups(Rows kind, std::string_view path, std::uint64_t rows,
                           const BaseFacts& base) {
  FERRULE_TRY(const auto count, heads(base));
  FERRULE_TRY(const auto groups, key_value_heads(base));
  if (count % groups != 0 || rows % (2 * (count + 2 * groups)) != 0) {
    return does_not_divide(path, rows, count);
  }
  const auto size = rows / (count + 2 * groups);
  const auto each = count / groups;
  if (kind == Rows::kGroupedQuery) {
    return make_order(count * size, [&](std::uint64_t i) {
      const auto row = rotated(i, size);
      const auto head = row / size;
      return (head / each * (each + 2) + head % each) * size + row % size;
    });
  }
  const bool key = kind == Rows::kGroupedKey;
  return make_order(groups * size, [&](std::uint64_t i) {
    const auto row = key ? rotated(i, size) : i;
    return (row / size * (each + 2) + each + (key ? 0 : 1)) * size + row % size;
  });
}

/// baichuan: one of q, k and v, a third of the rows each.
Result<RowOrder> of_pack(Rows kind, std::string_view path, std::uint64_t rows,
                         const BaseFacts& base) {
  FERRULE_TRY(const auto count, heads(base));
  if (rows % (6 * count) != 0) return does_not_divide(path, rows, count);
  const auto third = rows / 3;
  const auto size = third / count;
  const std::uint64_t part = kind == Rows::kPackedQuery ? 0 : kind == Rows::kPackedKey ? 1 : 2;
  return make_order(
      third, [&](std::uint64_t i) { return part * third + (part == 2 ? i : rotated(i, size)); });
}

/// Heads of linear attention.
struct LinearHeads {
  std::uint64_t keys, values, key_width, value_width;
  std::uint64_t each() const { return values / keys; }
};

Result<LinearHeads> linear_heads(std::string_view path, const BaseFacts& base) {
  LinearHeads out{};
  FERRULE_TRY(out.keys, count_of(base, {"linear_num_key_heads"}));
  FERRULE_TRY(out.values, count_of(base, {"linear_num_value_heads"}));
  FERRULE_TRY(out.key_width, count_of(base, {"linear_key_head_dim"}));
  FERRULE_TRY(out.value_width, count_of(base, {"linear_value_head_dim"}));
  if (out.values % out.keys != 0) return does_not_divide(path, out.values, out.keys);
  return out;
}

/// qwen3_next: q, k, v and z of each head of k.
Result<RowOrder> of_qkvz(Rows kind, std::string_view path, std::uint64_t rows,
                         const BaseFacts& base) {
  FERRULE_TRY(const auto all, linear_heads(path, base));
  const auto width = all.key_width;
  const auto values = all.each() * all.value_width;
  const auto block = 2 * (width + values);
  if (rows != block * all.keys) return does_not_divide(path, rows, all.keys);
  const auto from = [&](std::uint64_t i, std::uint64_t size, std::uint64_t start) {
    return i / size * block + start + i % size;
  };
  if (kind == Rows::kZOfQkvz) {
    return make_order(values * all.keys,
                      [&](std::uint64_t i) { return from(i, values, 2 * width + values); });
  }
  const auto part = width * all.keys;
  return make_order(2 * part + values * all.keys, [&](std::uint64_t i) {
    if (i < part) return from(i, width, 0);
    if (i < 2 * part) return from(i - part, width, width);
    return from(i - 2 * part, values, 2 * width);
  });
}

/// qwen3_5: the heads of v that share one of k stand apart.
Result<RowOrder> of_values(Rows kind, std::string_view path, std::uint64_t rows,
                           const BaseFacts& base) {
  FERRULE_TRY(const auto all, linear_heads(path, base));
  if (all.keys == all.values) return RowOrder();
  const auto before = kind == Rows::kQkvOfValueHeads ? 2 * all.keys * all.key_width : 0;
  if (rows <= before || (rows - before) % all.values != 0) {
    return does_not_divide(path, rows, all.values);
  }
  const auto size = (rows - before) / all.values;
  return make_order(rows, [&](std::uint64_t i) {
    if (i < before) return i;
    const auto row = i - before;
    const auto head = row / size;
    return before + (head % all.keys * all.each() + head / all.keys) * size + row % size;
  });
}

Result<RowOrder> of_half(Rows kind, std::string_view path, std::uint64_t rows) {
  if (rows % 2 != 0) return does_not_divide(path, rows, 2);
  const auto start = kind == Rows::kSecondHalf ? rows / 2 : 0;
  return make_order(rows / 2, [&](std::uint64_t i) { return start + i; });
}

}  // namespace

bool is_part(Rows rows) noexcept {
  switch (rows) {
    case Rows::kFirstHalf:
    case Rows::kSecondHalf:
    case Rows::kGroupedQuery:
    case Rows::kGroupedKey:
    case Rows::kGroupedValue:
    case Rows::kPackedQuery:
    case Rows::kPackedKey:
    case Rows::kPackedValue:
    case Rows::kQkvOfQkvz:
    case Rows::kZOfQkvz:
      return true;
    default:
      return false;
  }
}

bool is_of_columns(Rows rows) noexcept { return rows == Rows::kValueHeadColumns; }

Result<RowOrder> order_of(Rows kind, std::string_view path, std::uint64_t rows,
                          const BaseFacts& base) {
  if (rows > kMaxRows) return does_not_divide(path, rows, 1);
  switch (kind) {
    case Rows::kSame:
      return RowOrder();
    case Rows::kQuery: {
      FERRULE_TRY(const auto count, heads(base));
      return by_pairs(path, rows, count);
    }
    case Rows::kKey: {
      FERRULE_TRY(const auto count, key_value_heads(base));
      return by_pairs(path, rows, count);
    }
    case Rows::kHeads:
      return by_heads(path, rows, base);
    case Rows::kGroups:
      return by_groups(path, rows, base);
    case Rows::kFirstHalf:
    case Rows::kSecondHalf:
      return of_half(kind, path, rows);
    case Rows::kGroupedQuery:
    case Rows::kGroupedKey:
    case Rows::kGroupedValue:
      return of_groups(kind, path, rows, base);
    case Rows::kPackedQuery:
    case Rows::kPackedKey:
    case Rows::kPackedValue:
      return of_pack(kind, path, rows, base);
    case Rows::kQkvOfQkvz:
    case Rows::kZOfQkvz:
      return of_qkvz(kind, path, rows, base);
    case Rows::kValueHeads:
    case Rows::kQkvOfValueHeads:
    case Rows::kValueHeadColumns:
      return of_values(kind, path, rows, base);
  }
  return RowOrder();
}

Result<std::uint64_t> whole_of(Rows kind, std::string_view path, std::uint64_t rows,
                               const BaseFacts& base) {
  if (rows > kMaxRows) return does_not_divide(path, rows, 1);
  switch (kind) {
    case Rows::kFirstHalf:
    case Rows::kSecondHalf:
      return 2 * rows;
    case Rows::kPackedQuery:
    case Rows::kPackedKey:
    case Rows::kPackedValue:
      return 3 * rows;
    case Rows::kGroupedQuery:
    case Rows::kGroupedKey:
    case Rows::kGroupedValue: {
      FERRULE_TRY(const auto count, heads(base));
      FERRULE_TRY(const auto groups, key_value_heads(base));
      const auto own = kind == Rows::kGroupedQuery ? count : groups;
      if (rows % own != 0) return does_not_divide(path, rows, own);
      return rows / own * (count + 2 * groups);
    }
    case Rows::kQkvOfQkvz:
    case Rows::kZOfQkvz: {
      FERRULE_TRY(const auto all, linear_heads(path, base));
      return all.keys * 2 * (all.key_width + all.each() * all.value_width);
    }
    default:
      return rows;
  }
}

RowOrder inverse(const RowOrder& order) {
  auto out = std::make_shared<std::vector<std::uint32_t>>(order->size());
  for (std::size_t i = 0; i < order->size(); ++i) {
    (*out)[(*order)[i]] = static_cast<std::uint32_t>(i);
  }
  return out;
}

}  // namespace ferrule::exchange::gguf
