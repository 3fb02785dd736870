// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ferrule/export.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// A JSON value. Objects keep the order in which their members were written, because the order
/// carries meaning: PEFT tries the entries of rank_pattern from the first to the last.
/// Const members may be called from any number of threads at once while none changes the value.
/// Integers and floats stay different, as in Python: 1 and 1.0 are different texts.
class FERRULE_API Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() noexcept;  ///< null
  // Out of line: inlined everywhere, the variant of eight costs code and drowns g++ 12 in false
  // warnings.
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;
  ~Json();
  Json(std::nullptr_t) noexcept {}
  /// Only of a bool: a pointer must not become one.
  template <std::same_as<bool> Bool>
  Json(Bool value) noexcept : value_(value) {}
  Json(int value) noexcept : value_(std::int64_t{value}) {}
  Json(std::int64_t value) noexcept : value_(value) {}
  /// Values above INT64_MAX are kept as big integers.
  Json(std::uint64_t value);
  Json(double value) noexcept : value_(value) {}
  Json(std::string value) noexcept : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}
  /// An integer that 64 bits do not hold, in decimal digits with an optional '-'.
  static Json big_integer(std::string digits);

  bool is_null() const noexcept { return value_.index() == 0; }
  bool is_bool() const noexcept { return value_.index() == 1; }
  /// True for integers of any size (never for bools).
  bool is_integer() const noexcept { return value_.index() == 2 || value_.index() == 7; }
  bool is_float() const noexcept { return value_.index() == 3; }
  bool is_number() const noexcept { return is_integer() || is_float(); }
  bool is_string() const noexcept { return value_.index() == 4; }
  bool is_array() const noexcept { return value_.index() == 5; }
  bool is_object() const noexcept { return value_.index() == 6; }

  /// "null", "bool", "integer", "float", "string", "array" or "object".
  std::string_view type_name() const noexcept;

  /// Pointers into this value, or nullptr if it is of another type.
  const bool* if_bool() const& noexcept { return std::get_if<1>(&value_); }
  const bool* if_bool() const&& = delete;  // It would dangle.
  const std::int64_t* if_int64() const& noexcept { return std::get_if<2>(&value_); }
  const std::int64_t* if_int64() const&& = delete;
  const double* if_float() const& noexcept { return std::get_if<3>(&value_); }
  const double* if_float() const&& = delete;
  const std::string* if_string() const& noexcept { return std::get_if<4>(&value_); }
  const std::string* if_string() const&& = delete;
  const Array* if_array() const& noexcept { return std::get_if<5>(&value_); }
  Array* if_array() & noexcept { return std::get_if<5>(&value_); }
  const Array* if_array() const&& = delete;
  const Object* if_object() const& noexcept { return std::get_if<6>(&value_); }
  Object* if_object() & noexcept { return std::get_if<6>(&value_); }
  const Object* if_object() const&& = delete;

  /// The digits of an integer that 64 bits do not hold, or nullptr.
  const std::string* if_big_integer() const& noexcept;
  const std::string* if_big_integer() const&& = delete;

  /// An integer or float as a double, nullopt otherwise.
  std::optional<double> number() const noexcept;

  /// The member of that name, or nullptr if there is none or this is not an object.
  const Json* find(std::string_view key) const& noexcept;
  Json* find(std::string_view key) & noexcept;
  const Json* find(std::string_view key) const&& = delete;

  /// Sets a member in place, or appends it. Turns a null into an object; on any other type that is
  /// no object it replaces the value.
  void set(std::string_view key, Json value);

  /// Removes a member; false if there is none.
  bool erase(std::string_view key);

  /// Same types, values and order of members.
  friend FERRULE_API bool operator==(const Json& a, const Json& b) noexcept;

  struct ParseOptions {
    /// Nesting beyond which a document is refused.
    std::size_t depth = 128;
    /// Python's json module writes and reads NaN, Infinity and -Infinity; strict JSON does not.
    bool allow_nan = false;
  };

  /// Parses one document of strict UTF-8 JSON. Duplicate keys (after unescaping), lone surrogates,
  /// trailing text and a nesting deeper than `depth` are refused, with the byte offset.
  /// Fails with kCorrupt or kLimitExceeded and rule CF-1 to CF-3.
  static Result<Json> parse(std::string_view text, const ParseOptions& options);
  static Result<Json> parse(std::string_view text);

  /// Compact text, UTF-8 kept, members in their order. Always valid JSON: a number that is not
  /// finite becomes null, bytes of a caller's string that are not UTF-8 become U+FFFD.
  std::string dump() const;

  /// The text of Python's `json.dumps(value, indent=2, sort_keys=True)`: ASCII with \uXXXX escapes,
  /// floats by Python's repr, keys sorted by code point, no trailing newline. `indent` < 0 gives
  /// the one-line form with ", " and ": ".
  std::string dump_python(int indent = 2, bool sort_keys = true) const;

 private:
  struct BigInteger {
    std::string digits;
    friend bool operator==(const BigInteger&, const BigInteger&) = default;
  };
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object, BigInteger>
      value_;
};

}  // namespace ferrule
