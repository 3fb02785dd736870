// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exchange/middle.hpp"
#include "ferrule/exchange.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// What a conversion did to the adapter, while it is made.
class Ledger {
 public:
  /// `allowed`: what --drop names.
  explicit Ledger(std::vector<std::string> allowed);

  void kept(std::string key) { report_.kept.push_back(std::move(key)); }
  void renamed(std::string from, std::string to) {
    report_.renamed.push_back({std::move(from), std::move(to)});
  }
  /// The factors of that site were multiplied by `factor` in all; `exact` if no bit was lost.
  void folded(std::string site, double factor, bool exact) {
    report_.folded.push_back({std::move(site), factor, exact});
  }
  /// Values of that tensor were rounded to another type.
  void rounded(std::string key, std::string dtype) {
    report_.rounded.push_back({std::move(key), std::move(dtype)});
  }
  void note(std::string text) { report_.notes.push_back(std::move(text)); }

  /// Something that the target cannot hold. `what` is the word for --drop ("modules_to_save",
  /// "dora", "bias", "embeddings" ...), `key` names the tensor, `why` says what the target lacks.
  /// If --drop allows it, it is listed as dropped; else finish() refuses.
  void lost(std::string_view what, std::string key, std::string why);
  /// A whole site that the target cannot hold, found while it is written: it is not looked for in
  /// the output.
  void lost(std::string_view what, const Site& site, std::string why);
  /// The rest of a group of which one was lost.
  void leave_out(std::span<const Site> sites) {
    for (const auto& site : sites) gone_.insert(site.name());
  }
  bool is_gone(const Site& site) const { return gone_.contains(site.name()); }
  bool may_drop(std::string_view what) const;

  /// Fails with kUnsupported (EX-3) if something was lost that may not be.
  Result<void> finish() const;

  ExchangeReport& report() noexcept { return report_; }

 private:
  struct Loss {
    std::string what;
    std::string key;
    std::string why;
  };
  std::set<std::string, std::less<>> allowed_;
  std::vector<Loss> refused_;
  std::set<std::string, std::less<>> gone_;
  ExchangeReport report_;
};

}  // namespace ferrule::exchange
