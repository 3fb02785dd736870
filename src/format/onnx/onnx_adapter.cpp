// SPDX-License-Identifier: Apache-2.0
#include "format/onnx/onnx_adapter.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/byte_source.hpp"

namespace ferrule::format {
namespace {

constexpr std::string_view kMagic = "TORT";
constexpr std::uint64_t kMaxBytes = 0x7fffffff;
constexpr std::size_t kMaxDims = 32;
/// FlatBuffers are built from their end, so that the whole is a multiple of its largest unit, which
/// is at least an offset.
constexpr std::uint64_t kUnit = 4;

constexpr std::array<std::pair<int, Dtype>, 4> kTypes = {
    {{1, Dtype::kF32}, {10, Dtype::kF16}, {11, Dtype::kF64}, {16, Dtype::kBF16}}};

Error broken(std::string what) {
  return base::corrupt("EX-20", "not a whole ONNX Runtime adapter: " + std::move(what));
}

/// Reads FlatBuffers; every place is checked.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> file) : file_(file) {}

  Result<std::uint64_t> table_at(std::uint64_t offset_place) const { return follow(offset_place); }

  /// Where field `index` of the table is; nullopt if it is left out.
  Result<std::optional<std::uint64_t>> field(std::uint64_t table, std::uint64_t index) const {
    FERRULE_TRY(const auto back, number<std::int32_t>(table));
    const auto vtable = static_cast<std::int64_t>(table) - back;
    if (vtable < 0) return broken("a table's fields are before the file");
    const auto start = static_cast<std::uint64_t>(vtable);
    FERRULE_TRY(const auto size, number<std::uint16_t>(start));
    if (4 + 2 * index + 2 > size) return std::optional<std::uint64_t>();
    FERRULE_TRY(const auto at, number<std::uint16_t>(start + 4 + 2 * index));
    if (at == 0) return std::optional<std::uint64_t>();
    return std::optional(table + at);
  }

  Result<std::int32_t> int32(std::uint64_t table, std::uint64_t index) const {
    FERRULE_TRY(const auto at, field(table, index));
    if (!at) return 0;
    return number<std::int32_t>(*at);
  }

  /// Elements of a vector: where they begin, how many, all of `element` bytes inside the file.
  struct Vector {
    std::uint64_t at = 0;
    std::uint64_t count = 0;
  };
  Result<Vector> vector(std::uint64_t table, std::uint64_t index, std::uint64_t element) const {
    FERRULE_TRY(const auto place, field(table, index));
    if (!place) return Vector{};
    FERRULE_TRY(const auto at, follow(*place));
    FERRULE_TRY(const auto count, number<std::uint32_t>(at));
    if (count > (file_.size() - at - 4) / element) return broken("a list leaves the file");
    return Vector{at + 4, count};
  }

  /// A string, with the zero behind it that is not counted.
  Result<std::string_view> text(std::uint64_t table, std::uint64_t index) const {
    FERRULE_TRY(const auto place, vector(table, index, 1));
    if (place.at == 0) return std::string_view();
    FERRULE_TRY(const auto end, number<std::uint8_t>(place.at + place.count));
    if (end != 0) return broken("a text does not end with a zero");
    const auto letters = bytes(place);
    return std::string_view(reinterpret_cast<const char*>(letters.data()), letters.size());
  }

  Result<std::uint64_t> follow(std::uint64_t place) const {
    FERRULE_TRY(const auto offset, number<std::uint32_t>(place));
    const auto at = place + offset;
    if (offset == 0 || at + 4 > file_.size()) return broken("an offset leaves the file");
    return at;
  }

  template <typename T>
  Result<T> number(std::uint64_t at) const {
    if (at > file_.size() || file_.size() - at < sizeof(T)) return broken("it ends early");
    using Unsigned = std::make_unsigned_t<T>;
    return static_cast<T>(load_le<Unsigned>(file_, static_cast<std::size_t>(at)));
  }

  std::span<const std::byte> bytes(const Vector& vector) const {
    return file_.subspan(static_cast<std::size_t>(vector.at),
                         static_cast<std::size_t>(vector.count));
  }

 private:
  std::span<const std::byte> file_;
};

Result<OnnxParameter> read_parameter(const Reader& reader, std::uint64_t table) {
  OnnxParameter out;
  FERRULE_TRY(out.name, reader.text(table, 0));
  FERRULE_TRY(const auto dims, reader.vector(table, 1, 8));
  if (dims.count > kMaxDims) {
    return broken("tensor " + quote(out.name) + " has " + std::to_string(dims.count) +
                  " dimensions");
  }
  for (std::uint64_t i = 0; i < dims.count; ++i) {
    FERRULE_TRY(const auto extent, reader.number<std::int64_t>(dims.at + 8 * i));
    if (extent < 0) return broken("tensor " + quote(out.name) + " has a negative size");
    out.shape.push_back(static_cast<std::uint64_t>(extent));
  }
  FERRULE_TRY(const auto type, reader.int32(table, 2));
  const auto known = std::find_if(kTypes.begin(), kTypes.end(),
                                  [&](const auto& row) { return row.first == type; });
  if (known == kTypes.end()) {
    return base::unsupported("EX-21", "tensor " + quote(out.name) + " is of ONNX's data type " +
                                          std::to_string(type) +
                                          "; read are float, float16, bfloat16 and double");
  }
  out.dtype = known->second;
  FERRULE_TRY(const auto data, reader.vector(table, 3, 1));
  std::uint64_t bytes = bit_width(out.dtype) / 8;
  bool fits = true;
  for (const auto extent : out.shape) fits = base::multiply_by(bytes, extent) && fits;
  if (!fits || bytes != data.count) {
    return broken("tensor " + quote(out.name) + " has " + std::to_string(data.count) +
                  " bytes, which do not fit its shape");
  }
  out.bytes = reader.bytes(data);
  return out;
}

void pad(std::string& out, std::uint64_t base, std::uint64_t alignment) {
  while ((base + out.size()) % alignment != 0) out.push_back('\0');
}

/// A vtable of four fields, each 4 bytes, one after the other.
void append_vtable(std::string& out) {
  for (const int value : {12, 20, 4, 8, 12, 16}) append_le(out, static_cast<std::uint16_t>(value));
}

/// Writes `value` over the 4 bytes at `at`.
void patch(std::string& out, std::size_t at, std::uint64_t value) {
  for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<char>((value >> (8 * i)) & 0xff);
}

std::optional<std::int32_t> onnx_type(Dtype dtype) {
  for (const auto& [type, known] : kTypes) {
    if (known == dtype) return type;
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<OnnxParameter>> parse_onnx_adapter(std::span<const std::byte> file) {
  if (file.size() < 8 ||
      !std::equal(kMagic.begin(), kMagic.end(), file.begin() + 4,
                  [](char c, std::byte b) { return static_cast<std::byte>(c) == b; })) {
    return broken("\"TORT\" is not at offset 4");
  }
  if (file.size() % kUnit != 0) {
    return broken("its " + std::to_string(file.size()) +
                  " bytes are not a multiple of 4, as FlatBuffers are: its end is missing");
  }
  const Reader reader(file);
  FERRULE_TRY(const auto root, reader.table_at(0));
  FERRULE_TRY(const auto version, reader.int32(root, 0));
  if (version != 1) {
    return base::unsupported("EX-21", "an ONNX Runtime adapter of format version " +
                                          std::to_string(version) + "; version 1 is read");
  }
  FERRULE_TRY(const auto list, reader.vector(root, 3, 4));
  std::vector<OnnxParameter> out;
  std::set<std::string_view> names;
  for (std::uint64_t i = 0; i < list.count; ++i) {
    FERRULE_TRY(const auto table, reader.table_at(list.at + 4 * i));
    FERRULE_TRY(auto parameter, read_parameter(reader, table));
    if (!names.insert(parameter.name).second) {
      return broken("two tensors are called " + quote(parameter.name));
    }
    out.push_back(std::move(parameter));
  }
  return out;
}

Result<OnnxFrame> frame_onnx_adapter(std::span<const OnnxOutput> tensors) {
  constexpr std::size_t kRoot = 20, kParameterVtable = 40, kList = 52;
  OnnxFrame frame;
  auto& head = frame.head;
  append_le(head, std::uint32_t{kRoot});
  head += kMagic;
  append_vtable(head);
  append_le(head, std::int32_t{kRoot - 8});
  for (const std::int32_t version : {1, 0, 0}) append_le(head, version);
  append_le(head, std::uint32_t{kList - (kRoot + 16)});
  append_vtable(head);
  append_le(head, static_cast<std::uint32_t>(tensors.size()));
  head.append(4 * tensors.size(), '\0');
  std::vector<std::size_t> data_fields;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& tensor = tensors[i];
    const auto type = onnx_type(tensor.dtype);
    if (!type) {
      return base::unsupported("EX-21", "tensor " + quote(tensor.name) + " is " +
                                            std::string(dtype_name(tensor.dtype)) +
                                            ", which ONNX adapters do not hold");
    }
    pad(head, 0, 4);
    const auto table = head.size();
    patch(head, kList + 4 + 4 * i, table - (kList + 4 + 4 * i));
    append_le(head, static_cast<std::int32_t>(table - kParameterVtable));
    append_le(head, std::uint32_t{16});  // The name follows the table.
    append_le(head, std::uint32_t{0});
    append_le(head, *type);
    data_fields.push_back(head.size());
    append_le(head, std::uint32_t{0});
    append_le(head, static_cast<std::uint32_t>(tensor.name.size()));
    head += tensor.name;
    head.push_back('\0');
    pad(head, 4, 8);  // The count is 4 bytes, and then the elements are aligned.
    patch(head, table + 8, head.size() - (table + 8));
    append_le(head, static_cast<std::uint32_t>(tensor.shape.size()));
    for (const auto extent : tensor.shape) append_le(head, extent);
  }
  std::uint64_t at = head.size();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    std::string before;
    pad(before, at + 4, 8);
    const auto vector = at + before.size();
    if (vector + 4 + tensors[i].bytes > kMaxBytes) {
      return base::unsupported("EX-21", "an ONNX Runtime adapter cannot have 2 GiB or more");
    }
    patch(head, data_fields[i], vector - data_fields[i]);
    append_le(before, static_cast<std::uint32_t>(tensors[i].bytes));
    at = vector + 4 + tensors[i].bytes;
    frame.before.push_back(std::move(before));
  }
  pad(frame.after, at, kUnit);
  return frame;
}

}  // namespace ferrule::format
