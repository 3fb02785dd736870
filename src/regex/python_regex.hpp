// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ferrule/result.hpp"

namespace ferrule::regex {

/// The PCRE2 text (for PCRE2_UTF | PCRE2_UCP | PCRE2_ALT_CIRCUMFLEX) of a regular expression of
/// Python 3.11's `re`. Everything that the two dialects spell alike but mean differently is spelled
/// out: classes, \b, \Z, octal escapes, braces, verbose mode, named groups.
/// Fails with kCorrupt (CF-20) if Python refuses it too, kUnsupported (CF-21) if it has no
/// counterpart.
Result<std::string> translate_python_regex(std::string_view expression);

}  // namespace ferrule::regex
