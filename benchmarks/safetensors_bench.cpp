// SPDX-License-Identifier: Apache-2.0
// Our half of safetensors_bench.py: reads lines "ACTION PATH [PATH]" and answers each with the
// nanoseconds it took and a number that both halves must agree on. Staying alive between lines, it
// is as warm as the Python process it is compared with.
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <numeric>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "ferrule/safetensors_file.hpp"
#include "ferrule/safetensors_writer.hpp"

namespace {

using ferrule::Backing;
using ferrule::Durability;
using ferrule::SafetensorsFile;

struct Answer {
  std::int64_t nanoseconds = 0;
  double check = 0;
};

class Stopwatch {
 public:
  std::int64_t nanoseconds() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

/// Sums float elements in sixteen lanes, as a compiler may vectorise it. The data are small
/// integers: every order of summing is exact.
double sum(const ferrule::TensorView& tensor) {
  const auto values = tensor.as<float>();
  if (!values) return 0;
  std::array<float, 16> lanes{};
  std::size_t i = 0;
  for (; i + lanes.size() <= values->size(); i += lanes.size()) {
    for (std::size_t lane = 0; lane < lanes.size(); ++lane) lanes[lane] += (*values)[i + lane];
  }
  double total = std::accumulate(lanes.begin(), lanes.end(), 0.0);
  for (; i < values->size(); ++i) total += static_cast<double>((*values)[i]);
  return total;
}

/// Open: how many tensors there are.
std::optional<Answer> open_header(const std::string& path) {
  Answer answer;
  const Stopwatch watch;
  {
    const auto file = SafetensorsFile::open(path);
    if (!file) return std::nullopt;
    answer.nanoseconds = watch.nanoseconds();
    answer.check = static_cast<double>(file->tensors().size());
  }
  return answer;
}

/// Open and sum every element of every tensor.
std::optional<Answer> touch(const std::string& path) {
  Answer answer;
  const Stopwatch watch;
  const auto file = SafetensorsFile::open(path);
  if (!file) return std::nullopt;
  for (const auto& [name, tensor] : file->tensors()) answer.check += sum(tensor);
  answer.nanoseconds = watch.nanoseconds();
  return answer;
}

/// Read everything into memory that is ours alone; the check comes after the clock.
std::optional<Answer> load(const std::string& path) {
  Answer answer;
  const Stopwatch watch;
  const auto file = SafetensorsFile::open(path, {.backing = Backing::kCopy, .threads = 0});
  answer.nanoseconds = watch.nanoseconds();
  if (!file) return std::nullopt;
  for (const auto& [name, tensor] : file->tensors()) answer.check += sum(tensor);
  return answer;
}

/// Write the tensors of `source`, which stay loaded between calls, to `target`.
std::optional<Answer> save(const std::string& source, const std::string& target,
                           Durability durability) {
  static std::string loaded_path;
  static std::unique_ptr<SafetensorsFile> loaded;
  if (loaded_path != source) {
    auto file = SafetensorsFile::open(source, {.backing = Backing::kCopy, .threads = 0});
    if (!file) return std::nullopt;
    loaded = std::make_unique<SafetensorsFile>(std::move(*file));
    loaded_path = source;
  }
  Answer answer;
  const Stopwatch watch;
  const auto saved = ferrule::write_safetensors(target, loaded->tensors(), loaded->metadata(),
                                                {.durability = durability});
  answer.nanoseconds = watch.nanoseconds();
  if (!saved) return std::nullopt;
  answer.check = static_cast<double>(std::filesystem::file_size(target));
  return answer;
}

std::optional<Answer> run(const std::string& action, const std::string& path,
                          const std::string& target) {
  if (action == "open") return open_header(path);
  if (action == "touch") return touch(path);
  if (action == "load") return load(path);
  if (action == "save_fast") return save(path, target, Durability::kFast);
  if (action == "save_safe") return save(path, target, Durability::kSafe);
  if (action == "save_full") return save(path, target, Durability::kFull);
  return std::nullopt;
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string action;
    std::string path;
    std::string target;
    words >> action >> path >> target;
    const auto answer = run(action, path, target);
    if (!answer) {
      std::printf("failed\n");
      return 1;
    }
    std::printf("%lld %.17g\n", static_cast<long long>(answer->nanoseconds), answer->check);
    std::fflush(stdout);
  }
  return 0;
}
