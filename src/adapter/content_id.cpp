// SPDX-License-Identifier: Apache-2.0
#include "ferrule/content_id.hpp"

#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "adapter/method_modules.hpp"
#include "base/parallel.hpp"
#include "io/digest.hpp"
#include "peft/config_meaning.hpp"

namespace ferrule {
namespace {

constexpr std::string_view kFirstLine = "ferrule-content-id 1\n";

std::string hash_of(std::span<const std::byte> bytes) {
  io::Sha256 hash;
  hash.update(bytes);
  return io::to_hex(hash.finish());
}

/// The sums of all tensors, the largest started first so that no thread ends long after the others.
std::vector<std::string> hash_tensors(std::span<const AdapterTensor> tensors, unsigned threads) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return tensors[a].tensor.bytes().size() > tensors[b].tensor.bytes().size();
  });
  std::vector<std::string> sums(tensors.size());
  base::parallel_for(order.size(), threads, [&](std::size_t i) {
    sums[order[i]] = hash_of(tensors[order[i]].tensor.bytes());
  });
  return sums;
}

std::string tensor_line(const AdapterTensor& tensor, const std::string& sum) {
  Json::Array shape;
  for (const auto extent : tensor.tensor.shape()) shape.emplace_back(extent);
  return Json(Json::Array{Json(tensor.key), Json(dtype_name(tensor.tensor.dtype())),
                          Json(std::move(shape)), Json(sum)})
             .dump_python(-1) +
         "\n";
}

}  // namespace

std::string content_id(const Adapter& adapter, const ContentIdOptions& options) {
  const auto tensors = adapter.tensors();
  const auto sums = hash_tensors(tensors, options.threads);
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return tensors[a].key < tensors[b].key; });
  std::vector<std::string> paths;
  for (const auto& module : adapter.modules()) {
    if (adapter::has_method_tensors(adapter.config(), module)) paths.emplace_back(module.path());
  }
  std::string text(kFirstLine);
  text += peft::config_meaning(adapter.config(), paths).dump_python(-1) + "\n";
  for (const auto i : order) text += tensor_line(tensors[i], sums[i]);
  return hash_of(std::as_bytes(std::span(text)));
}

}  // namespace ferrule
