// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "exit_code.hpp"
#include "ferrule/factored_module.hpp"
#include "ferrule/report_json.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"

namespace ferrule::cli {

/// Prints where an adapter was written, how many modules and parameters it has, and how far its
/// updates are from the exact ones, over all and in the worst module.
void print_factored(const std::string& output, const std::vector<FactoredModule>& modules,
                    std::uint64_t parameters, double relative_error);

/// Writes the page of `--report` if `file` is not empty; an exit code.
int write_report(const std::string& file, const std::vector<FactoredModule>& modules,
                 const std::string& output, bool json);

/// Prints what one of these commands did: its page if `page` names one, then its document or its
/// findings and the lines of print_factored(). An exit code.
template <typename Report>
int finish_factored(const Report& done, const std::string& page, const std::string& output,
                    bool json) {
  if (const int code = write_report(page, done.modules, output, json); code != kGood) return code;
  if (json) {
    print_document(to_json(done, output));
    return kGood;
  }
  report(done.findings);
  print_factored(output, done.modules, done.parameters, done.relative_error);
  return kGood;
}

/// `--report FILE`: a page of HTML with the spectrum of each module.
void add_report(Arguments& command, std::string& file);

}  // namespace ferrule::cli
