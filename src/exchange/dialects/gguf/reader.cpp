// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/gguf/reader.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/experts.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange::gguf {
namespace {

constexpr std::uint64_t kMaxExperts = 65536;

class Reader {
 public:
  Reader(const OpenedFile& file, const Architecture& architecture, const Request& request,
         Middle& out)
      : file_(file), architecture_(architecture), request_(request), out_(out) {}

  Result<void> read() {
    alpha_ = file_.header.number(kAlpha).value_or(0);
    for (const auto& tensor : file_.header.tensors) {
      whole_ = whole_ || tensor.type == format::kGgufQ8_0;
    }
    std::map<std::string, Pair> pairs;
    for (const auto& tensor : file_.header.tensors) {
      std::string_view name = tensor.name;
      const bool is_a = name.ends_with(".weight.lora_a");
      if (!is_a && !name.ends_with(".weight.lora_b")) {
        return base::unsupported("EX-5", "tensor " + quote(name) +
                                             " is neither a lora_a nor a lora_b of a weight, and "
                                             "llama.cpp does not use it");
      }
      name.remove_suffix(14);
      auto& pair = pairs[std::string(name)];
      pair.key = tensor.name;
      (is_a ? pair.a : pair.b) = file_.values(tensor);
    }
    for (const auto& [name, pair] : pairs) {
      if (pair.a.empty() || pair.b.empty() || pair.a.shape().size() < 2 ||
          pair.a.shape().size() != pair.b.shape().size()) {
        return base::corrupt("EX-8", "the GGUF file does not have a lora_a and a lora_b of " +
                                         quote(name) + " that belong together");
      }
      FERRULE_CHECK(add(name, pair));
    }
    for (const auto& [path, parts] : divided_) FERRULE_CHECK(join(path, parts));
    return {};
  }

 private:
  struct Pair {
    Values a, b;
    std::string key;
  };
  /// Some rows of a module.
  struct Part {
    Rows rows;
    Pair pair;
  };

  Result<void> add(const std::string& name, const Pair& pair) {
    const auto place = place_of(architecture_, name);
    if (!place) {
      return base::unsupported("EX-5", "tensor " + quote(pair.key) + " is of no module of " +
                                           std::string(architecture_.class_name) +
                                           " that Ferrule knows");
    }
    if (is_part(place->rows)) {
      divided_[place->path].push_back({place->rows, pair});
      return {};
    }
    Site site;
    site.path = place->path;
    site.key = pair.key;
    if (pair.a.shape().size() == 3) return add_experts(std::move(site), pair.a, pair.b);
    site.rank = pair.b.dim(1);
    site.a = name == kEmbedding ? pair.a.transposed() : pair.a;
    site.b = pair.b;
    if (name == kEmbedding) site.kind = SiteKind::kEmbedding;
    const bool columns = is_of_columns(place->rows);
    auto& changed = columns ? site.a : site.b;
    const std::size_t axis = columns ? 1 : 0;
    FERRULE_TRY(const auto order,
                order_of(place->rows, site.path, changed.dim(axis), request_.base));
    if (order) changed = changed.gathered(axis, inverse(order));
    finish(std::move(site));
    return {};
  }

  /// A module that llama.cpp divides: A is shared, or each part has rows of A of its own.
  Result<void> join(const std::string& path, const std::vector<Part>& parts) {
    Site site;
    site.path = path;
    site.key = parts.front().pair.key;
    const auto& first = parts.front().pair;
    if (first.a.shape().size() != 2) return odd_part(site.key);
    FERRULE_TRY(const auto rows, whole_of(parts.front().rows, path, first.b.dim(0), request_.base));
    // So that what is allocated belongs to what is there.
    if (rows / 64 > first.b.dim(0)) return odd_part(site.key);
    bool shared = true;
    for (const auto& part : parts) {
      const auto& [a, b, key] = part.pair;
      if (a.shape().size() != 2 || a.dim(0) != b.dim(1) || a.dim(1) != first.a.dim(1)) {
        return odd_part(key);
      }
      shared = shared && a.shape() == first.a.shape() && a.same_values(first.a);
    }
    std::vector<Values> a, b;
    auto places = std::make_shared<std::vector<std::uint32_t>>(static_cast<std::size_t>(rows),
                                                               static_cast<std::uint32_t>(rows));
    std::uint32_t next = 0;
    for (const auto& part : parts) {
      FERRULE_TRY(const auto order, order_of(part.rows, path, rows, request_.base));
      if (order->size() != part.pair.b.dim(0)) return odd_part(part.pair.key);
      for (const auto row : *order) (*places)[row] = next++;
      a.push_back(part.pair.a);
      // Parts of several ranks have several strengths; that of the first holds for all.
      const double factor = strength(part.pair.b.dim(1)) / strength(first.b.dim(1));
      b.push_back(part.pair.b.scaled(factor));
    }
    Values all = shared ? Values::concatenated(b, 0) : Values::block_diagonal(b);
    // Rows that no part has are zero.
    if (next != rows) all = all.padded(0, rows + 1);
    site.b = all.gathered(0, places);
    site.a = shared ? first.a : Values::concatenated(a, 0);
    site.rank = site.a.dim(0);
    finish(std::move(site), strength(first.b.dim(1)));
    return {};
  }

  Error odd_part(const std::string& key) const {
    return base::corrupt("EX-8", "tensor " + quote(key) +
                                     " does not fit the others of the module that llama.cpp "
                                     "divides");
  }

  double strength(std::uint64_t rank) const {
    return alpha_ != 0 ? alpha_ / static_cast<double>(rank) : 1;
  }

  Result<void> add_experts(Site site, const Values& a, const Values& b) {
    const auto count = std::max(a.dim(0), b.dim(0));
    const auto known = expert_count(request_.base);
    const auto mark = site.path.find('%');
    if (mark == std::string::npos || count > kMaxExperts || (a.dim(0) != count && a.dim(0) != 1) ||
        (b.dim(0) != count && b.dim(0) != 1) || (known != 0 && known != count)) {
      return base::corrupt("EX-12", "tensor " + quote(site.key) + " is of " +
                                        std::to_string(count) +
                                        " experts, and a layer of the base "
                                        "has " +
                                        std::to_string(known));
    }
    if (!out_.facts.fused_experts) {
      out_.notes.emplace_back(
          "to PEFT, experts are written one by one, as transformers 4 has them; --to fused-expert "
          "writes them as transformers 5 does");
    }
    out_.facts.fused_experts = true;
    for (std::uint64_t i = 0; i < count; ++i) {
      Site one = site;
      one.path.replace(mark, 1, std::to_string(i));
      const auto row_a = a.slice(0, a.dim(0) == 1 ? 0 : i, 1);
      const auto row_b = b.slice(0, b.dim(0) == 1 ? 0 : i, 1);
      one.a = row_a.without_axis(0);
      one.b = row_b.without_axis(0);
      one.rank = one.b.dim(1);
      finish(std::move(one));
    }
    return {};
  }

  /// Strength: alpha / rank; no alpha, and alpha 0, mean 1.
  void finish(Site site) {
    const auto rank = static_cast<double>(site.rank);
    site.alpha = alpha_ != 0 ? alpha_ : rank;
    site.scale = *site.alpha / rank;
    store(std::move(site));
  }

  void finish(Site site, double scale) {
    site.scale = scale;
    const double alpha = scale * static_cast<double>(site.rank);
    if (alpha / static_cast<double>(site.rank) == scale) site.alpha = alpha;
    store(std::move(site));
  }

  void store(Site site) {
    if (whole_) {
      site.a = site.a.as(Dtype::kF32);
      site.b = site.b.as(Dtype::kF32);
    }
    out_.sites.push_back(std::move(site));
  }

  const OpenedFile& file_;
  const Architecture& architecture_;
  const Request& request_;
  Middle& out_;
  std::map<std::string, std::vector<Part>> divided_;
  double alpha_ = 0;
  bool whole_ = false;  ///< Something is quantized, so that all become F32.
};

}  // namespace

Result<void> read_sites(const OpenedFile& file, const Architecture& architecture,
                        const Request& request, Middle& out) {
  return Reader(file, architecture, request, out).read();
}

}  // namespace ferrule::exchange::gguf
