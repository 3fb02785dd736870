// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "format/byte_source.hpp"
#include "format/zip/crc32.hpp"

namespace ferrule::test {

using std::string_view_literals::operator""sv;

/// Made by Python's zipfile: m/a holds "hello", m/b holds "world!", both stored.
///
///     0    local header of m/a (30 bytes), name at 30, content at 33
///     38   local header of m/b, name at 68, content at 71
///     77   central entry of m/a (46 bytes), name at 123
///     126  central entry of m/b, name at 172
///     175  end record (22 bytes)
inline constexpr std::string_view kZip =
    "PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00!"
    "\x00\x86\xa6\x10\x36\x05\x00\x00\x00\x05\x00\x00\x00\x03\x00\x00\x00"
    "m/ahello"
    "PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00!"
    "\x00\xe8\x98\x84q\x06\x00\x00\x00\x06\x00\x00\x00\x03\x00\x00\x00"
    "m/bworld!"
    "PK\x01\x02\x14\x03\x14\x00\x00\x00\x00\x00\x00\x00!"
    "\x00\x86\xa6\x10\x36\x05\x00\x00\x00\x05\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x80\x01\x00\x00\x00\x00"
    "m/a"
    "PK\x01\x02\x14\x03\x14\x00\x00\x00\x00\x00\x00\x00!"
    "\x00\xe8\x98\x84q\x06\x00\x00\x00\x06\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x80\x01&\x00\x00\x00"
    "m/b"
    "PK\x05\x06\x00\x00\x00\x00\x02\x00\x02\x00\x62\x00\x00\x00M\x00\x00\x00\x00\x00"sv;

/// The same archive with zip64 end records (APPNOTE 4.3.14, 4.3.15) before its end record.
///
///     175  zip64 end record (56 bytes)
///     231  zip64 locator (20 bytes)
///     251  end record
inline std::string zip64() {
  std::string zip(kZip);
  return zip.insert(175,
                    "PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0"
                    "\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0"
                    "\x62\0\0\0\0\0\0\0\x4d\0\0\0\0\0\0\0"
                    "PK\x06\x07\0\0\0\0\xaf\0\0\0\0\0\0\0\x01\0\0\0"sv);
}

/// `zip` with `bytes` written over it at `offset`.
inline std::string patched(std::string zip, std::size_t offset, std::string_view bytes) {
  return zip.replace(offset, bytes.size(), bytes);
}

struct StoredEntry {
  std::string name;
  std::string content;
};

/// A zip of stored entries, one after the other (APPNOTE 4.3.6).
inline std::string stored_zip(std::span<const StoredEntry> entries) {
  std::string zip;
  std::string directory;
  for (const auto& [name, content] : entries) {
    const auto offset = zip.size();
    std::string fields("\x14\0\0\0\0\0\0\0\0\0"sv);  // Version, flags, method, time, date.
    format::append_le(fields, format::crc32(0, std::as_bytes(std::span(content))));
    format::append_le(fields, static_cast<std::uint32_t>(content.size()));
    format::append_le(fields, static_cast<std::uint32_t>(content.size()));
    format::append_le(fields, static_cast<std::uint16_t>(name.size()));
    fields.append(2, '\0');
    zip += "PK\x03\x04" + fields + name + content;
    directory += "PK\x01\x02\x14\x03" + fields + std::string(10, '\0');
    format::append_le(directory, static_cast<std::uint32_t>(offset));
    directory += name;
  }
  const auto offset = static_cast<std::uint32_t>(zip.size());
  const auto count = static_cast<std::uint16_t>(entries.size());
  zip += directory + "PK\x05\x06" + std::string(4, '\0');
  format::append_le(zip, count);
  format::append_le(zip, count);
  format::append_le(zip, static_cast<std::uint32_t>(directory.size()));
  format::append_le(zip, offset);
  return zip + std::string(2, '\0');
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace ferrule::test
