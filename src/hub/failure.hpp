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

/// An error of that rule. `path` is the file or address it concerns.
Error fail(Failure failure, std::string message, std::string path = {});

bool is(const Error& error, Failure failure) noexcept;

/// What ends those transfers that another one's failure stopped. Nobody gets to see it.
Error stopped();

struct Response;

/// What an answer outside 2xx means, in the Hub's order of signs: X-Error-Code, then texts, then
/// the status. `what` is what was asked for ("the list of files").
Error http_failure(const Response& response, std::string_view what);

/// The server's own words in an error body, quoted; empty for none and for HTML.
std::string server_words(const Response& response);

}  // namespace ferrule::hub
