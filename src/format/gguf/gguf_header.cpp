// SPDX-License-Identifier: Apache-2.0
#include "format/gguf/gguf_header.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "base/utf8.hpp"
#include "ferrule/text.hpp"

namespace ferrule::format {
namespace {

constexpr std::uint64_t kMaxKeys = 65536;
constexpr std::uint64_t kMaxTensors = 1 << 20;
constexpr std::uint64_t kMaxName = 65535;
constexpr std::uint64_t kMaxText = 64 << 20;
/// ggml's own limit.
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::uint64_t kMaxAlignment = 1 << 20;
/// Elements of an array that is kept.
constexpr std::uint64_t kMaxKept = 65536;

enum ValueType : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/// Bytes of a value of fixed size, or 0.
std::uint64_t fixed_size(std::uint32_t type) {
  constexpr std::uint8_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < std::size(kSizes) ? kSizes[type] : 0;
}

Error bad_header(std::string message) { return base::corrupt("EX-13", std::move(message)); }
Error bad_key(std::string message) { return base::corrupt("EX-14", std::move(message)); }
Error bad_tensor(std::string message) { return base::corrupt("EX-15", std::move(message)); }

class Parser {
 public:
  explicit Parser(std::span<const std::byte> file) : file_(file) {}

  Result<GgufHeader> parse() {
    FERRULE_CHECK(read_start());
    for (std::uint64_t i = 0; i < keys_; ++i) FERRULE_CHECK(read_key());
    FERRULE_CHECK(read_alignment());
    for (std::uint64_t i = 0; i < tensors_; ++i) FERRULE_CHECK(read_tensor());
    FERRULE_CHECK(place_tensors());
    return std::move(header_);
  }

 private:
  std::uint64_t left() const noexcept { return file_.size() - at_; }

  template <typename T>
  Result<T> number(std::string_view what) {
    if (left() < sizeof(T)) {
      return bad_header("the file ends in " + std::string(what) + ", at byte " +
                        std::to_string(at_));
    }
    T value;
    std::memcpy(&value, file_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  Result<std::string> text(std::uint64_t limit, std::string_view what) {
    FERRULE_TRY(const auto length, number<std::uint64_t>(what));
    if (length > left()) {
      return bad_header(std::string(what) + " should have " + std::to_string(length) +
                        " bytes, and the file has " + std::to_string(left()) + " more");
    }
    if (length > limit) {
      return base::over_limit("EX-13", std::string(what) + " has " + std::to_string(length) +
                                           " bytes; allowed are " + std::to_string(limit));
    }
    std::string out(reinterpret_cast<const char*>(file_.data() + at_),
                    static_cast<std::size_t>(length));
    at_ += length;
    if (!base::is_utf8(out)) return bad_header(std::string(what) + " is not UTF-8");
    return out;
  }

  Result<void> read_start() {
    constexpr std::string_view kMagic = "GGUF";
    if (file_.size() < 24 || std::memcmp(file_.data(), kMagic.data(), 4) != 0) {
      return bad_header("this is not a GGUF file: it does not start with GGUF and 20 more bytes");
    }
    at_ = 4;
    FERRULE_TRY(const auto version, number<std::uint32_t>("its version"));
    if (version == 0x03000000 || version == 0x02000000) {
      return base::unsupported("EX-13", "the GGUF file is big-endian; Ferrule reads little-endian");
    }
    if (version != 2 && version != 3) {
      return base::unsupported("EX-13", "the GGUF file has version " + std::to_string(version) +
                                            "; Ferrule reads 2 and 3");
    }
    FERRULE_TRY(tensors_, number<std::uint64_t>("its counts"));
    FERRULE_TRY(keys_, number<std::uint64_t>("its counts"));
    // A key takes at least 13 bytes, a tensor 28.
    if (keys_ > left() / 13 || tensors_ > left() / 24) {
      return bad_header("the file should have " + std::to_string(keys_) + " keys and " +
                        std::to_string(tensors_) + " tensors, and is too short for them");
    }
    if (keys_ > kMaxKeys || tensors_ > kMaxTensors) {
      return base::over_limit("EX-13", std::to_string(keys_) + " keys and " +
                                           std::to_string(tensors_) +
                                           " tensors are more than any adapter has");
    }
    return {};
  }

  Result<void> read_key() {
    GgufKey key;
    FERRULE_TRY(key.name, text(kMaxName, "the name of a key"));
    if (!seen_.insert(key.name).second)
      return bad_key("the key " + quote(key.name) + " is there twice");
    FERRULE_TRY(const auto type, number<std::uint32_t>("a key"));
    if (type == kArray) {
      FERRULE_TRY(key.value, read_array(key.name));
    } else {
      FERRULE_TRY(key.value, read_value(type, key.name));
    }
    header_.keys.push_back(std::move(key));
    return {};
  }

  Result<GgufValue> read_value(std::uint32_t type, const std::string& name) {
    const auto integer = [](auto value) { return GgufValue(static_cast<std::int64_t>(value)); };
    switch (type) {
      case kU8: {
        FERRULE_TRY(const auto value, number<std::uint8_t>("a value"));
        return integer(value);
      }
      case kI8: {
        FERRULE_TRY(const auto value, number<std::int8_t>("a value"));
        return integer(value);
      }
      case kU16: {
        FERRULE_TRY(const auto value, number<std::uint16_t>("a value"));
        return integer(value);
      }
      case kI16: {
        FERRULE_TRY(const auto value, number<std::int16_t>("a value"));
        return integer(value);
      }
      case kU32: {
        FERRULE_TRY(const auto value, number<std::uint32_t>("a value"));
        return integer(value);
      }
      case kI32: {
        FERRULE_TRY(const auto value, number<std::int32_t>("a value"));
        return integer(value);
      }
      case kU64:
      case kI64: {
        FERRULE_TRY(const auto value, number<std::int64_t>("a value"));
        return integer(value);
      }
      default:
        return read_other(type, name);
    }
  }

  Result<GgufValue> read_other(std::uint32_t type, const std::string& name) {
    switch (type) {
      case kF32: {
        FERRULE_TRY(const auto value, number<float>("a value"));
        return GgufValue(static_cast<double>(value));
      }
      case kF64: {
        FERRULE_TRY(const auto value, number<double>("a value"));
        return GgufValue(value);
      }
      case kBool: {
        FERRULE_TRY(const auto value, number<std::uint8_t>("a value"));
        if (value > 1) return bad_key("the key " + quote(name) + " is a bool of neither 0 nor 1");
        return GgufValue(value == 1);
      }
      case kString: {
        FERRULE_TRY(auto value, text(kMaxText, "a text"));
        return GgufValue(std::move(value));
      }
      default:
        return bad_key("the key " + quote(name) + " has the type " + std::to_string(type) +
                       ", which GGUF does not have");
    }
  }

  Result<GgufValue> read_array(const std::string& name) {
    FERRULE_TRY(const auto type, number<std::uint32_t>("an array"));
    FERRULE_TRY(const auto count, number<std::uint64_t>("an array"));
    const auto size = fixed_size(type);
    if (size == 0 && type != kString) {
      return bad_key("the key " + quote(name) + " is an array of the type " + std::to_string(type) +
                     ", which no adapter has");
    }
    if (count > left() / std::max<std::uint64_t>(size, 8) &&
        count * (size == 0 ? 8 : size) > left()) {
      return bad_key("the key " + quote(name) + " should have " + std::to_string(count) +
                     " elements, and the file is too short for them");
    }
    if (type == kString) {
      for (std::uint64_t i = 0; i < count; ++i) FERRULE_CHECK(text(kMaxText, "a text"));
      return GgufValue();
    }
    if (count > left() / size)
      return bad_key("the key " + quote(name) + " does not end in the file");
    const bool kept = type != kF32 && type != kF64 && count <= kMaxKept;
    if (!kept) {
      at_ += count * size;
      return GgufValue();
    }
    std::vector<std::int64_t> values;
    values.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) {
      FERRULE_TRY(const auto value, read_value(type == kBool ? kU8 : type, name));
      values.push_back(*std::get_if<std::int64_t>(&value));
    }
    return GgufValue(std::move(values));
  }

  Result<void> read_alignment() {
    const auto* value = header_.find("general.alignment");
    if (value == nullptr) return {};
    const auto* alignment = std::get_if<std::int64_t>(value);
    if (alignment == nullptr || *alignment <= 0 ||
        static_cast<std::uint64_t>(*alignment) > kMaxAlignment ||
        !std::has_single_bit(static_cast<std::uint64_t>(*alignment))) {
      return bad_key("general.alignment is not a power of two up to " +
                     std::to_string(kMaxAlignment));
    }
    alignment_ = static_cast<std::uint64_t>(*alignment);
    return {};
  }

  Result<void> read_tensor() {
    GgufTensor tensor;
    FERRULE_TRY(tensor.name, text(kMaxName, "the name of a tensor"));
    if (!names_.insert(tensor.name).second) {
      return bad_tensor("the tensor " + quote(tensor.name) + " is there twice");
    }
    FERRULE_TRY(const auto dimensions, number<std::uint32_t>("a tensor"));
    if (dimensions > kMaxDimensions) {
      return bad_tensor("the tensor " + quote(tensor.name) + " has " + std::to_string(dimensions) +
                        " dimensions; GGUF has at most 4");
    }
    std::uint64_t count = 1;
    bool fits = true;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      FERRULE_TRY(const auto extent, number<std::uint64_t>("a tensor"));
      tensor.extents.push_back(extent);
      fits = base::multiply_by(count, extent) && fits;
    }
    if (!fits) return bad_tensor("the extents of " + quote(tensor.name) + " are too large");
    FERRULE_TRY(tensor.type, number<std::uint32_t>("a tensor"));
    FERRULE_TRY(tensor.offset, number<std::uint64_t>("a tensor"));
    const auto row = tensor.extents.empty() ? 1 : tensor.extents.front();
    const auto bytes = gguf_bytes(tensor.type, row, count);
    if (!bytes) {
      return base::unsupported("EX-15", "the tensor " + quote(tensor.name) + " has the type " +
                                            std::to_string(tensor.type) +
                                            "; Ferrule reads F32, F16, BF16 and Q8_0 in whole "
                                            "blocks");
    }
    tensor.bytes = *bytes;
    header_.tensors.push_back(std::move(tensor));
    return {};
  }

  /// Each starts where the one before it ends, rounded up: there is no room for anything hidden.
  Result<void> place_tensors() {
    const auto rounded = [this](std::uint64_t value) {
      return (value + alignment_ - 1) / alignment_ * alignment_;
    };
    const auto start = rounded(at_);
    std::uint64_t expected = 0;
    for (auto& tensor : header_.tensors) {
      if (tensor.offset != expected) {
        return bad_tensor("the tensor " + quote(tensor.name) + " is at " +
                          std::to_string(tensor.offset) +
                          " of the data, and the one before it ends "
                          "at " +
                          std::to_string(expected));
      }
      const auto from = base::checked_add(start, tensor.offset);
      const auto end = from ? base::checked_add(*from, tensor.bytes) : std::nullopt;
      if (!end || *end > file_.size()) {
        return bad_tensor("the tensor " + quote(tensor.name) +
                          " ends after the file (truncated, or "
                          "still being written?)");
      }
      tensor.offset = *from;
      expected = rounded(expected + tensor.bytes);
    }
    return {};
  }

  std::span<const std::byte> file_;
  std::uint64_t at_ = 0;
  std::uint64_t keys_ = 0;
  std::uint64_t tensors_ = 0;
  std::uint64_t alignment_ = kGgufAlignment;
  std::set<std::string> seen_, names_;
  GgufHeader header_;
};

}  // namespace

std::optional<std::uint64_t> gguf_bytes(std::uint32_t type, std::uint64_t row,
                                        std::uint64_t count) {
  switch (type) {
    case kGgufF32:
      return base::checked_mul(count, 4);
    case kGgufF16:
    case kGgufBF16:
      return base::checked_mul(count, 2);
    case kGgufQ8_0:
      return row % 32 == 0 ? base::checked_mul(count / 32, 34) : std::nullopt;
    default:
      return std::nullopt;
  }
}

const GgufValue* GgufHeader::find(std::string_view key) const noexcept {
  for (const auto& entry : keys) {
    if (entry.name == key) return &entry.value;
  }
  return nullptr;
}

std::string GgufHeader::text(std::string_view key) const {
  const auto* value = find(key);
  const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return text == nullptr ? std::string() : *text;
}

std::optional<double> GgufHeader::number(std::string_view key) const {
  const auto* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* real = std::get_if<double>(value)) return *real;
  if (const auto* integer = std::get_if<std::int64_t>(value)) return static_cast<double>(*integer);
  return std::nullopt;
}

Result<GgufHeader> parse_gguf(std::span<const std::byte> file) { return Parser(file).parse(); }

}  // namespace ferrule::format
