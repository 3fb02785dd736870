// SPDX-License-Identifier: Apache-2.0
// Our half of publish_bench.py: holds the tensors of a model in memory and publishes them, once for
// each line "ROOT DURABILITY". Answers with the nanoseconds it took and the bytes of the file;
// "peak" answers with the peak of resident memory beyond the tensors, in bytes.
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "ferrule/publish.hpp"

namespace {

/// As publish_bench.py makes them: every third name is tied to the one before.
struct Model {
  std::vector<std::uint16_t> values;
  std::vector<std::string> names;
  std::vector<ferrule::NamedTensor> tensors;
  std::vector<std::uint64_t> shape;

  Model(std::size_t count, std::uint64_t rows, std::uint64_t columns) : shape{rows, columns} {
    const auto elements = static_cast<std::size_t>(rows * columns);
    const std::size_t own = count - count / 3;
    values.resize(own * elements);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint16_t>(i);
    names.reserve(count);
    std::size_t next = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (i % 3 != 2) ++next;
      names.push_back("model.layers." + std::to_string(i / 8) + "." + std::to_string(i) +
                      ".weight");
      const auto bytes =
          std::as_bytes(std::span(values)).subspan(2 * (next - 1) * elements, 2 * elements);
      tensors.push_back(
          {names.back(), ferrule::TensorView::make(ferrule::Dtype::kBF16, shape, bytes).value()});
    }
  }
};

std::int64_t peak_bytes() {
  struct rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) return 2;
  const Model model(std::stoul(words[1]), std::stoul(words[2]), std::stoul(words[3]));
  const auto before = peak_bytes();
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::string root;
    std::string durability;
    in >> root >> durability;
    if (root == "peak") {
      std::cout << peak_bytes() - before << " 0" << std::endl;
      continue;
    }
    const ferrule::PublishOptions options{.keep = 2,
                                          .durability = durability == "fast"
                                                            ? ferrule::Durability::kFast
                                                            : ferrule::Durability::kSafe};
    const auto start = std::chrono::steady_clock::now();
    const auto report = ferrule::publish_tensors(model.tensors, root, {{"format", "pt"}}, options);
    const auto elapsed = std::chrono::steady_clock::now() - start;
    if (!report) {
      std::cerr << report.error().to_string() << "\n";
      return 1;
    }
    std::cout << std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count() << " "
              << report->shared << std::endl;
  }
}
