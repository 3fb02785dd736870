// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ferrule/error.hpp"

namespace ferrule::hub {

/// The rules of docs/rules/HB.md.
enum class Failure : unsigned char {
  kUsage,           // HB-1
  kOffline,         // HB-2
  kNetwork,         // HB-3
  kAuthentication,  // HB-4
  kNoRepository,    // HB-5
  kGated,           // HB-6
  kNoRevision,      // HB-7
  kNoEntry,         // HB-8
  kForbidden,       // HB-9
  kRateLimited,     // HB-10
  kServer,          // HB-11
  kBadAnswer,       // HB-12
  kIntegrity,       // HB-13
  kUnsafePath,      // HB-14
  kPublic,          // HB-15
  kConflict,        // HB-16
  kCard,            // HB-17
  kUploadRefused,   // HB-18
  kChanged,         // HB-19
  kIncomplete,      // HB-20
  kCancelled,       // HB-21
};

/// An error with the rule, word and code of that failure. `path` is the file or address.
Error fail(Failure failure, std::string message, std::string path = {});

bool is(const Error& error, Failure failure) noexcept;

/// The error of transfers that end because another one failed. Callers get the other one's error.
Error stopped();

}  // namespace ferrule::hub
