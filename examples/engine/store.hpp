// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <ferrule/ferrule.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "published.hpp"

namespace engine {

/// One module's update in the engine's own memory: y = B (A x), with the strength already in B.
struct Update {
  std::uint64_t rank = 0;
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  std::vector<float> a;  ///< [rank, in]
  std::vector<float> b;  ///< [out, rank]
  float sum = 0;         ///< Of all of `a` and `b`: what the workers recompute.
};

/// An adapter as it is served. Never changed once it is published.
struct Served {
  std::map<std::string, Update, std::less<>> modules;
};

/// Name -> adapter: what requests see.
using Table = std::map<std::string, std::shared_ptr<const Served>, std::less<>>;

/// The adapters of an engine. One thread admits and evicts; any number of threads serve.
class Store {
 public:
  Store(ferrule::BaseModel base, std::size_t slots) : base_(std::move(base)), slots_(slots) {}

  /// Opens, checks and copies the adapter, then shows it to requests, all at once. What is wrong
  /// with it is the Error, and requests notice nothing. If all slots are full, the adapter that was
  /// admitted first goes.
  ferrule::Result<std::size_t> admit(const std::string& name, const std::filesystem::path& path);

  /// False if there is none of that name.
  bool evict(const std::string& name);

  Published<Table>& table() { return table_; }

 private:
  ferrule::Result<Served> stage(const std::filesystem::path& path) const;

  ferrule::BaseModel base_;
  std::size_t slots_;
  std::vector<std::string> order_;  ///< From the first admitted to the last.
  Published<Table> table_{std::make_unique<Table>()};
};

/// strength * B (A x).
std::vector<float> run(const Update& update, const std::vector<float>& x);

float sum_of(const Update& update);

}  // namespace engine
