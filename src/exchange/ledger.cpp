// SPDX-License-Identifier: Apache-2.0
#include "exchange/ledger.hpp"

#include <algorithm>

#include "base/errors.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {

Ledger::Ledger(std::vector<std::string> allowed)
    : allowed_(std::make_move_iterator(allowed.begin()), std::make_move_iterator(allowed.end())) {}

bool Ledger::may_drop(std::string_view what) const { return allowed_.contains(what); }

void Ledger::lost(std::string_view what, std::string key, std::string why) {
  if (may_drop(what)) {
    report_.dropped.push_back(std::move(key));
    return;
  }
  refused_.push_back({std::string(what), std::move(key), std::move(why)});
}

void Ledger::lost(std::string_view what, const Site& site, std::string why) {
  gone_.insert(site.name());
  lost(what, site.key, std::move(why));
}

Result<void> Ledger::finish() const {
  if (refused_.empty()) return {};
  const auto& first = refused_.front();
  const auto same = std::count_if(refused_.begin(), refused_.end(),
                                  [&](const Loss& loss) { return loss.what == first.what; });
  std::string message = quote(first.key);
  if (same > 1) message += " and " + std::to_string(same - 1) + " more";
  message += " cannot be converted: " + first.why + " (--drop " + first.what +
             " converts the rest without them)";
  std::set<std::string> others;
  for (const auto& loss : refused_) {
    if (loss.what != first.what) others.insert(loss.what);
  }
  for (const auto& other : others) message += "; neither can " + other;
  return base::unsupported("EX-3", std::move(message));
}

}  // namespace ferrule::exchange
