// SPDX-License-Identifier: Apache-2.0
// An engine that serves LoRA adapters, as small as one can be: it admits adapters while it serves.
//
//   engine BASE [SLOTS]
//
// Each line of standard input is a command, and has one line of answer:
//   load NAME DIRECTORY    admits an adapter, or replaces the one of that name
//   evict NAME
//   run NAME MODULE        the update of that module for an input of ones
//   list
//   stats                  what the workers did meanwhile
//   pause                  waits until every worker has served something more
#include <atomic>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "store.hpp"

namespace {

using engine::Published;
using engine::Store;
using engine::Table;

constexpr int kWorkers = 3;

/// Threads that serve all adapters, over and over, and notice if one changes under them.
class Workers {
 public:
  explicit Workers(Published<Table>& table) {
    for (int i = 0; i < kWorkers; ++i) {
      threads_.emplace_back([this, reader = table.reader()] { serve(*reader); });
    }
  }
  ~Workers() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
  }

  /// Waits until every worker has gone through the whole table at least once from now.
  void wait_for_all() const {
    const auto target = rounds_.load() + 2 * kWorkers;
    while (rounds_.load() < target) std::this_thread::yield();
  }

  std::uint64_t wrong() const { return wrong_; }
  std::uint64_t served() const { return served_; }

 private:
  void serve(const Published<Table>::Reader& reader) {
    while (!stop_) {
      reader.read([&](const Table& table) {
        for (const auto& [name, adapter] : table) {
          for (const auto& [path, update] : adapter->modules) {
            if (engine::sum_of(update) != update.sum) ++wrong_;
            ++served_;
          }
        }
      });
      ++rounds_;
    }
  }

  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> rounds_ = 0;
  std::atomic<std::uint64_t> served_ = 0;
  std::atomic<std::uint64_t> wrong_ = 0;
  std::vector<std::thread> threads_;
};

std::string answer_run(const Published<Table>::Reader& reader, const std::string& name,
                       const std::string& path) {
  return reader.read([&](const Table& table) -> std::string {
    const auto adapter = table.find(name);
    if (adapter == table.end()) return "there is no adapter " + ferrule::quote(name);
    const auto module = adapter->second->modules.find(path);
    if (module == adapter->second->modules.end()) return "it does not change that module";
    const auto& update = module->second;
    std::string text;
    for (const float value :
         engine::run(update, std::vector<float>(static_cast<std::size_t>(update.in), 1.0F))) {
      char number[32];
      std::snprintf(number, sizeof number, "%s%.9g", text.empty() ? "" : " ",
                    static_cast<double>(value));
      text += number;
    }
    return text;
  });
}

std::string answer(Store& store, const Published<Table>::Reader& reader, const Workers& workers,
                   const std::string& line) {
  std::istringstream words(line);
  std::string command;
  std::string name;
  std::string rest;
  words >> command >> name >> std::ws;
  std::getline(words, rest);
  if (command == "load") {
    const auto admitted = store.admit(name, rest);
    if (!admitted) return "refused " + name + ": " + admitted.error().to_string();
    return "loaded " + name + ": " + std::to_string(*admitted) + " modules";
  }
  if (command == "evict") return store.evict(name) ? "evicted " + name : "there is no " + name;
  if (command == "run") return answer_run(reader, name, rest);
  if (command == "list") {
    return reader.read([](const Table& table) {
      std::string names = std::to_string(table.size()) + " adapters:";
      for (const auto& [known, adapter] : table) names += " " + known;
      return names;
    });
  }
  if (command == "pause") {
    workers.wait_for_all();
    return "served on";
  }
  if (command == "stats") {
    return std::string(workers.served() > 0 ? "served" : "idle") + ", " +
           std::to_string(workers.wrong()) + " wrong";
  }
  return "unknown command";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: engine BASE [SLOTS]\n";
    return 2;
  }
  auto base = ferrule::BaseModel::open(argv[1]);
  if (!base) {
    std::cerr << base.error().to_string() << "\n";
    return 1;
  }
  Store store(*std::move(base), argc > 2 ? std::stoul(argv[2]) : 8);
  const auto reader = store.table().reader();
  const Workers workers(store.table());
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << answer(store, *reader, workers, line) << std::endl;
  }
  return workers.wrong() == 0 ? 0 : 1;
}
