// SPDX-License-Identifier: Apache-2.0
// torch_rewrite FROM TO [KEY]: reads a torch file and writes it again. For torch_reads_ours.py.
#include <cstdio>
#include <filesystem>

#include "ferrule/torch_file.hpp"
#include "ferrule/torch_writer.hpp"

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  ferrule::OpenOptions options;
  if (argc > 3) options.torch_key = argv[3];
  const auto file = ferrule::TorchFile::open(argv[1], options);
  if (!file) {
    std::fprintf(stderr, "%s\n", file.error().to_string().c_str());
    return 1;
  }
  const auto wrote = ferrule::write_torch_file(argv[2], file->tensors(),
                                               {.durability = ferrule::Durability::kFast});
  if (!wrote) {
    std::fprintf(stderr, "%s\n", wrote.error().to_string().c_str());
    return 1;
  }
  return 0;
}
