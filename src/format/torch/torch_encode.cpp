// SPDX-License-Identifier: Apache-2.0
#include "format/torch/torch_encode.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "format/byte_source.hpp"
#include "format/zip/crc32.hpp"

namespace ferrule::format {
namespace {

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kWide = 0xffffffff;
constexpr std::size_t kBatch = 1000;

/// What torch calls a dtype. A legacy storage class marks types that every torch reads.
struct TorchDtype {
  std::string_view storage_class;
  std::string_view name;
};

std::optional<TorchDtype> torch_dtype(Dtype dtype) noexcept {
  switch (dtype) {
    case Dtype::kF64:
      return TorchDtype{"DoubleStorage", {}};
    case Dtype::kF32:
      return TorchDtype{"FloatStorage", {}};
    case Dtype::kF16:
      return TorchDtype{"HalfStorage", {}};
    case Dtype::kBF16:
      return TorchDtype{"BFloat16Storage", {}};
    case Dtype::kI64:
      return TorchDtype{"LongStorage", {}};
    case Dtype::kI32:
      return TorchDtype{"IntStorage", {}};
    case Dtype::kI16:
      return TorchDtype{"ShortStorage", {}};
    case Dtype::kI8:
      return TorchDtype{"CharStorage", {}};
    case Dtype::kU8:
      return TorchDtype{"ByteStorage", {}};
    case Dtype::kBool:
      return TorchDtype{"BoolStorage", {}};
    case Dtype::kC64:
      return TorchDtype{"ComplexFloatStorage", {}};
    case Dtype::kU16:
      return TorchDtype{{}, "uint16"};
    case Dtype::kU32:
      return TorchDtype{{}, "uint32"};
    case Dtype::kU64:
      return TorchDtype{{}, "uint64"};
    case Dtype::kF8E4M3:
      return TorchDtype{{}, "float8_e4m3fn"};
    case Dtype::kF8E5M2:
      return TorchDtype{{}, "float8_e5m2"};
    case Dtype::kF8E4M3FNUZ:
      return TorchDtype{{}, "float8_e4m3fnuz"};
    case Dtype::kF8E5M2FNUZ:
      return TorchDtype{{}, "float8_e5m2fnuz"};
    case Dtype::kF8E8M0:
      return TorchDtype{{}, "float8_e8m0fnu"};
    case Dtype::kF4:
      return TorchDtype{{}, "float4_e2m1fn_x2"};
    case Dtype::kF6E2M3:
    case Dtype::kF6E3M2:
      break;
  }
  return std::nullopt;
}

/// Writes opcodes as CPython's pickler does at protocol 2.
class Pickler {
 public:
  void byte(char c) { out_.push_back(c); }
  void raw(std::string_view text) { out_.append(text); }

  void integer(std::uint64_t value) {
    if (value <= 0xff) {
      byte('K');
      append_le(out_, static_cast<std::uint8_t>(value));
    } else if (value <= 0xffff) {
      byte('M');
      append_le(out_, static_cast<std::uint16_t>(value));
    } else if (value <= 0x7fffffff) {
      byte('J');
      append_le(out_, static_cast<std::uint32_t>(value));
    } else {
      // LONG1: two's complement, as short as its sign allows.
      std::string digits;
      for (std::uint64_t rest = value; rest != 0; rest >>= 8) {
        digits.push_back(static_cast<char>(rest & 0xff));
      }
      if ((static_cast<unsigned char>(digits.back()) & 0x80) != 0) digits.push_back('\0');
      byte('\x8a');
      byte(static_cast<char>(digits.size()));
      raw(digits);
    }
  }

  void memoize() {
    put(next_memo_);
    ++next_memo_;
  }

  void new_string(std::string_view text) {
    byte('X');
    append_le(out_, static_cast<std::uint32_t>(text.size()));
    raw(text);
    memoize();
  }

  /// A text or a global that Python keeps one object of: written once, then fetched.
  void shared_string(const std::string& text) {
    if (!fetch("X" + text)) {
      remember("X" + text);
      new_string(text);
    }
  }

  void global(std::string_view module, std::string_view name) {
    std::string line = "c";
    line.append(module).append("\n").append(name).append("\n");
    if (fetch(line)) return;
    remember(line);
    raw(line);
    memoize();
  }

  void tuple(std::span<const std::uint64_t> values) {
    static constexpr char kShort[] = {')', '\x85', '\x86', '\x87'};
    if (values.size() > 3) byte('(');
    for (const auto value : values) integer(value);
    byte(values.size() > 3 ? 't' : kShort[values.size()]);
    if (!values.empty()) memoize();
  }

  /// OrderedDict()
  void ordered_dict() {
    global("collections", "OrderedDict");
    raw(")R");
    memoize();
  }

  std::string take() { return std::move(out_); }

 private:
  void put(std::uint32_t index) {
    if (index <= 0xff) {
      byte('q');
      append_le(out_, static_cast<std::uint8_t>(index));
    } else {
      byte('r');
      append_le(out_, index);
    }
  }

  void remember(const std::string& what) { known_.emplace(what, next_memo_); }

  bool fetch(const std::string& what) {
    const auto found = known_.find(what);
    if (found == known_.end()) return false;
    if (found->second <= 0xff) {
      byte('h');
      append_le(out_, static_cast<std::uint8_t>(found->second));
    } else {
      byte('j');
      append_le(out_, found->second);
    }
    return true;
  }

  std::string out_;
  std::uint32_t next_memo_ = 0;
  std::map<std::string, std::uint32_t> known_;
};

Result<void> write_tensor(Pickler& pickler, const TorchOutputTensor& tensor,
                          const TorchOutputStorage& storage) {
  const auto type = torch_dtype(tensor.dtype);
  const auto storage_type = torch_dtype(storage.dtype);
  if (!type || !storage_type) {
    return base::unsupported("tensor " + quote(tensor.name) + ": torch has no dtype like " +
                             std::string(dtype_name(tensor.dtype)));
  }
  std::vector<std::uint64_t> shape(tensor.shape.begin(), tensor.shape.end());
  std::uint64_t item_bytes = bit_width(tensor.dtype) / 8;
  if (tensor.dtype == Dtype::kF4) {
    item_bytes = 1;
    if (shape.empty() || shape.back() % 2 != 0) {
      return base::invalid("tensor " + quote(tensor.name) +
                           ": torch packs 4-bit floats in pairs along the last dimension");
    }
    shape.back() /= 2;
  }
  std::vector<std::uint64_t> strides(tensor.strides.begin(), tensor.strides.end());
  if (strides.size() != shape.size()) {
    strides.resize(shape.size());
    std::uint64_t step = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
      strides[i] = step;
      step *= std::max<std::uint64_t>(shape[i], 1);
    }
  }
  const bool young = type->storage_class.empty();
  pickler.global("torch._utils", young ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
  pickler.raw("((");
  pickler.shared_string("storage");
  if (storage_type->storage_class.empty()) {
    pickler.global("torch.storage", "UntypedStorage");
  } else {
    pickler.global("torch", storage_type->storage_class);
  }
  pickler.shared_string(std::to_string(tensor.storage));
  pickler.shared_string("cpu");
  const std::uint64_t storage_item =
      storage_type->storage_class.empty() ? 1 : bit_width(storage.dtype) / 8;
  pickler.integer(storage.bytes / storage_item);
  pickler.byte('t');
  pickler.memoize();
  pickler.byte('Q');
  pickler.integer(tensor.offset / item_bytes);
  pickler.tuple(shape);
  pickler.tuple(strides);
  pickler.byte('\x89');
  pickler.ordered_dict();
  if (young) pickler.global("torch", type->name);
  pickler.byte('t');
  pickler.memoize();
  pickler.byte('R');
  pickler.memoize();
  return {};
}

void append_zip64_field(std::string& out, std::span<const std::uint64_t> values) {
  append_le(out, std::uint16_t{1});
  append_le(out, static_cast<std::uint16_t>(values.size() * 8));
  for (const auto value : values) append_le(out, value);
}

/// The values that do not fit their 32-bit fields, in the order of the zip64 field.
std::vector<std::uint64_t> wide_values(std::uint64_t bytes, std::uint64_t header_offset) {
  std::vector<std::uint64_t> values;
  if (bytes >= kWide) values.assign(2, bytes);
  if (header_offset >= kWide) values.push_back(header_offset);
  return values;
}

std::uint32_t narrowed(std::uint64_t value) noexcept {
  return static_cast<std::uint32_t>(std::min(value, kWide));
}

std::string padded_digits(std::uint64_t value) {
  const std::string digits = std::to_string(value);
  return std::string(20 - digits.size(), '0') + digits;
}

}  // namespace

Result<std::string> encode_torch_pickle(std::span<const TorchOutputStorage> storages,
                                        std::span<const TorchOutputTensor> tensors,
                                        std::string_view key) {
  Pickler pickler;
  pickler.raw("\x80\x02");
  if (!key.empty()) {
    pickler.byte('}');
    pickler.memoize();
    pickler.new_string(key);
  }
  pickler.ordered_dict();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::size_t left_in_batch = std::min(tensors.size() - i / kBatch * kBatch, kBatch);
    if (i % kBatch == 0 && left_in_batch > 1) pickler.byte('(');
    pickler.new_string(tensors[i].name);
    FERRULE_CHECK(write_tensor(pickler, tensors[i], storages[tensors[i].storage]));
    if (i % kBatch + 1 == left_in_batch) pickler.byte(left_in_batch > 1 ? 'u' : 's');
  }
  if (!key.empty()) pickler.byte('s');
  pickler.byte('.');
  return pickler.take();
}

bool TorchZipEncoder::Entry::is_wide() const noexcept {
  return bytes >= kWide || header_offset >= kWide;
}

std::string TorchZipEncoder::begin_entry(std::string_view name, std::uint64_t bytes) {
  entries_.push_back({.name = std::string(name), .header_offset = offset_, .bytes = bytes});
  std::string extra;
  const auto wide = wide_values(bytes, offset_);
  if (!wide.empty()) append_zip64_field(extra, wide);
  const std::uint64_t unpadded = offset_ + 30 + name.size() + extra.size() + 4;
  const std::uint64_t padding = (kAlignment - unpadded % kAlignment) % kAlignment;
  extra += "FB";
  append_le(extra, static_cast<std::uint16_t>(padding));
  extra.append(padding, 'Z');

  std::string out = "PK\x03\x04";
  append_le(out, std::uint16_t{0});
  append_le(out, static_cast<std::uint16_t>(bytes == 0 ? 0x0800 : 0x0808));
  out.append(18, '\0');  // Method, time, date, checksum and sizes: all in the central directory.
  append_le(out, static_cast<std::uint16_t>(name.size()));
  append_le(out, static_cast<std::uint16_t>(extra.size()));
  out.append(name).append(extra);
  offset_ += out.size() + bytes;
  return out;
}

std::string TorchZipEncoder::end_entry(std::uint32_t crc32) {
  auto& entry = entries_.back();
  entry.crc32 = crc32;
  std::string out;
  if (entry.bytes == 0) return out;
  out = "PK\x07\x08";
  append_le(out, crc32);
  if (entry.is_wide()) {
    append_le(out, entry.bytes);
    append_le(out, entry.bytes);
  } else {
    append_le(out, narrowed(entry.bytes));
    append_le(out, narrowed(entry.bytes));
  }
  offset_ += out.size();
  return out;
}

std::string TorchZipEncoder::finish(std::string_view root) {
  // torch combines checksums in the same way; its hash of the names is its compiler's own.
  std::uint64_t names = 0xcbf29ce484222325;
  std::uint64_t content = 0;
  for (const auto& entry : entries_) {
    for (const char c : entry.name) names = (names ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    content ^= entry.crc32 + 0x9e3779b9 + (content << 6) + (content >> 2);
  }
  const std::string id = padded_digits(names) + padded_digits(content);
  std::string out = begin_entry(std::string(root) + "/.data/serialization_id", id.size());
  out += id;
  out += end_entry(format::crc32(0, std::as_bytes(std::span(id))));

  const std::uint64_t directory = offset_;
  std::string central;
  for (const auto& entry : entries_) {
    std::string extra;
    const auto wide = wide_values(entry.bytes, entry.header_offset);
    if (!wide.empty()) append_zip64_field(extra, wide);
    central += "PK\x01\x02";
    append_le(central, std::uint32_t{0});
    append_le(central, static_cast<std::uint16_t>(entry.bytes == 0 ? 0x0800 : 0x0808));
    central.append(6, '\0');
    append_le(central, entry.crc32);
    append_le(central, narrowed(entry.bytes));
    append_le(central, narrowed(entry.bytes));
    append_le(central, static_cast<std::uint16_t>(entry.name.size()));
    append_le(central, static_cast<std::uint16_t>(extra.size()));
    central.append(10, '\0');
    append_le(central, narrowed(entry.header_offset));
    central.append(entry.name).append(extra);
  }
  out += central;
  out += std::string("PK\x06\x06", 4);
  append_le(out, std::uint64_t{44});
  append_le(out, std::uint16_t{0x031e});
  append_le(out, std::uint16_t{0x002d});
  out.append(8, '\0');
  append_le(out, std::uint64_t{entries_.size()});
  append_le(out, std::uint64_t{entries_.size()});
  append_le(out, std::uint64_t{central.size()});
  append_le(out, directory);
  out += "PK\x06\x07";
  append_le(out, std::uint32_t{0});
  append_le(out, directory + central.size());
  append_le(out, std::uint32_t{1});
  out += "PK\x05\x06";
  append_le(out, std::uint32_t{0});
  const auto count = static_cast<std::uint16_t>(std::min<std::uint64_t>(entries_.size(), 0xffff));
  append_le(out, count);
  append_le(out, count);
  append_le(out, narrowed(central.size()));
  append_le(out, narrowed(directory));
  append_le(out, std::uint16_t{0});
  return out;
}

}  // namespace ferrule::format
