// SPDX-License-Identifier: Apache-2.0
// llama.cpp's adapters: one GGUF file, one alpha for all, ranks of their own. A and B are as
// PEFT's, except that rows of q and k are in llama.cpp's order, and A of an embedding is
// transposed. Sources: llama.cpp's convert_lora_to_gguf.py and src/llama-adapter.cpp.
#include <algorithm>
#include <map>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/gguf/architecture.hpp"
#include "exchange/dialects/gguf/file.hpp"
#include "exchange/dialects/mlx_names.hpp"
#include "exchange/experts.hpp"
#include "exchange/fold.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

using gguf::Architecture;
using gguf::Entry;

constexpr const char* kAlpha = "adapter.lora.alpha";
constexpr const char* kTokens = "adapter.alora.invocation_tokens";
constexpr const char* kEmbedding = "token_embd";
/// ggml's limit on a name, with its end.
constexpr std::size_t kMaxName = 63;

class Reader {
 public:
  Reader(const gguf::OpenedFile& file, const Architecture& architecture, const Request& request,
         Middle& out)
      : file_(file), architecture_(architecture), request_(request), out_(out) {}

  Result<void> read() {
    alpha_ = file_.header.number(kAlpha).value_or(0);
    for (const auto& tensor : file_.header.tensors) {
      whole_ = whole_ || tensor.type == format::kGgufQ8_0;
    }
    struct Pair {
      Values a, b;
      std::string key;
    };
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
      FERRULE_CHECK(add(name, pair.a, pair.b, pair.key));
    }
    return {};
  }

 private:
  Result<void> add(const std::string& name, const Values& a, const Values& b,
                   const std::string& key) {
    const auto path = gguf::path_of(architecture_, name);
    if (!path) {
      return base::unsupported("EX-5", "tensor " + quote(key) + " is of no module of " +
                                           std::string(architecture_.class_name) +
                                           " that Ferrule knows");
    }
    Site site;
    site.path = *path;
    site.key = key;
    if (a.shape().size() == 3) return add_experts(std::move(site), a, b);
    site.rank = b.dim(1);
    site.a = name == kEmbedding ? a.transposed() : a;
    site.b = b;
    if (name == kEmbedding) site.kind = SiteKind::kEmbedding;
    FERRULE_TRY(const auto order, gguf::rows_of(architecture_, site.path, b.dim(0), request_.base));
    if (order) site.b = site.b.gathered(0, gguf::inverse(order));
    finish(std::move(site));
    return {};
  }

  Result<void> add_experts(Site site, const Values& a, const Values& b) {
    const auto count = std::max(a.dim(0), b.dim(0));
    const auto known = expert_count(request_.base);
    const auto mark = site.path.find('%');
    if (mark == std::string::npos || (a.dim(0) != count && a.dim(0) != 1) ||
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
    if (whole_) {
      site.a = site.a.as(Dtype::kF32);
      site.b = site.b.as(Dtype::kF32);
    }
    out_.sites.push_back(std::move(site));
  }

  const gguf::OpenedFile& file_;
  const Architecture& architecture_;
  const Request& request_;
  Middle& out_;
  double alpha_ = 0;
  bool whole_ = false;  ///< Something is quantized, so that all become F32.
};

class Writer {
 public:
  Writer(const Middle& middle, const Architecture& architecture, const Request& request,
         Ledger& ledger)
      : middle_(middle), architecture_(architecture), request_(request), ledger_(ledger) {}

  Result<Plan> write() {
    std::vector<Site> sites = middle_.sites;
    choose_alpha(sites);
    FERRULE_TRY(const auto groups, take_experts(sites, expert_count(request_.base), ledger_));
    for (const auto& site : sites) FERRULE_CHECK(add_site(site));
    for (const auto& group : groups) FERRULE_CHECK(add_group(group));
    plan_.files.push_back(gguf::planned_file(keys(), std::move(entries_)));
    return std::move(plan_);
  }

 private:
  /// The alpha of most sites, as the file can hold it; never 0, which means strength 1.
  void choose_alpha(const std::vector<Site>& sites) {
    std::map<double, std::size_t> counts;
    double best = 0;
    for (const auto& site : sites) {
      const double alpha = alpha_of(site);
      if (alpha != 0 && ++counts[alpha] > (best == 0 ? 0 : counts[best])) best = alpha;
    }
    alpha_ = static_cast<double>(static_cast<float>(best == 0 ? 1 : best));
    usual_ = best;
  }

  Result<Folded> factors(const Site& site) {
    const double alpha = alpha_of(site);
    // What F32 rounds of the common alpha is less than it would round of every element.
    if (alpha == usual_ && alpha != 0) return Folded{site.a, site.b};
    const auto dtype = request_.dtype == "f16" ? Dtype::kF16 : Dtype::kF32;
    return fold(site, alpha / alpha_, dtype, ledger_);
  }

  Result<std::optional<std::string>> tensor_name(const Site& site, std::string_view path) {
    const auto found = gguf::tensor_of(architecture_, path);
    if (!found) {
      ledger_.lost("modules", site.key,
                   "llama.cpp has no tensor for the module " + quote(path) + " of " +
                       std::string(architecture_.class_name));
      return std::optional<std::string>();
    }
    const bool head = *found == "output";
    const bool embedding = site.kind == SiteKind::kEmbedding;
    if ((head || embedding) && ties_embeddings(request_.base)) {
      ledger_.lost("embeddings", site.key,
                   head
                       ? "the base ties its head to the embedding, so that llama.cpp has no tensor "
                         "for the head"
                       : "the base ties its head to the embedding, and llama.cpp ends the process "
                         "on such an adapter");
      return std::optional<std::string>();
    }
    if (embedding != (*found == kEmbedding)) {
      ledger_.lost("embeddings", site.key, "llama.cpp applies no adapter to this embedding");
      return std::optional<std::string>();
    }
    if (found->size() + 14 > kMaxName) {
      return base::unsupported("EX-9", "the name " + quote(*found) + " is too long for GGUF");
    }
    return found;
  }

  Result<void> add_site(const Site& site) {
    FERRULE_TRY(const auto name, tensor_name(site, site.path));
    if (!name) return {};
    FERRULE_TRY(const auto both, factors(site));
    FERRULE_TRY(const auto order,
                gguf::rows_of(architecture_, site.path, site.b.dim(0), request_.base));
    const auto b = order ? both.b.gathered(0, order) : both.b;
    add(*name + ".weight.lora_a", site.kind == SiteKind::kEmbedding ? both.a.transposed() : both.a,
        site.key);
    add(*name + ".weight.lora_b", b, {});
    // The reader knows one spelling of each module.
    if (const auto again = gguf::path_of(architecture_, *name); again && *again != site.path) {
      plan_.renamed_sites[site.name()] = *again;
    }
    return {};
  }

  Result<void> add_group(const ExpertGroup& group) {
    const auto& first = group.sites.front();
    const auto path = group.experts + ".0." + std::string(group.part) + "_proj";
    FERRULE_TRY(const auto name, tensor_name(first, path));
    if (!name) return {};
    std::vector<Values> a, b;
    for (std::size_t i = 0; i < group.sites.size(); ++i) {
      FERRULE_TRY(const auto both, factors(group.sites[i]));
      a.push_back(both.a);
      b.push_back(both.b);
    }
    add(*name + ".weight.lora_a", Values::stacked(a), group.key);
    add(*name + ".weight.lora_b", Values::stacked(b), {});
    return {};
  }

  /// Rows that are not a whole number of blocks stay F16, as llama.cpp's own converter has it.
  std::uint32_t type_of(const Values& values) const {
    if (request_.dtype == "f16") return format::kGgufF16;
    if (request_.dtype == "bf16") return format::kGgufBF16;
    if (request_.dtype != "q8_0") return format::kGgufF32;
    return values.shape().back() % 32 == 0 ? format::kGgufQ8_0 : format::kGgufF16;
  }

  void add(std::string name, const Values& values, const std::string& key) {
    const auto type = type_of(values);
    const bool widened = type == format::kGgufF32 && values.dtype() != Dtype::kF64;
    const bool same = (type == format::kGgufF16 && values.dtype() == Dtype::kF16) ||
                      (type == format::kGgufBF16 && values.dtype() == Dtype::kBF16);
    if (!widened && !same) {
      ledger_.rounded(name, type == format::kGgufQ8_0 ? "q8_0" : request_.dtype);
    }
    if (!key.empty()) ledger_.renamed(key, name);
    entries_.push_back({std::move(name), values, type});
  }

  std::vector<format::GgufKey> keys() const {
    std::vector<format::GgufKey> out = {
        {"general.architecture", std::string(architecture_.name)},
        {"general.type", std::string("adapter")},
        {"adapter.type", std::string("lora")},
        {kAlpha, alpha_},
    };
    const auto& tokens = middle_.facts.invocation_tokens;
    if (!tokens.empty()) out.push_back({kTokens, tokens});
    if (middle_.facts.base_model) {
      out.push_back({"general.base_model.count", std::int64_t{1}});
      out.push_back({"general.base_model.0.name", *middle_.facts.base_model});
    }
    out.push_back({"general.quantization_version", std::int64_t{2}});
    return out;
  }

  const Middle& middle_;
  const Architecture& architecture_;
  const Request& request_;
  Ledger& ledger_;
  double alpha_ = 1;
  double usual_ = 0;
  std::vector<Entry> entries_;
  Plan plan_;
};

class Gguf final : public Dialect {
 public:
  std::string_view name() const override { return "gguf"; }
  std::string_view what() const override { return "llama.cpp (GGUF)"; }
  bool is_file() const override { return true; }
  const Carries& carries() const override {
    static const Carries kCarries{.scale = ScalePlace::kFileAlpha,
                                  .embeddings = true,
                                  .extras = {},
                                  .methods = {},
                                  .invocation_tokens = true};
    return kCarries;
  }
  bool detect(const Look& look) const override { return look.kind == FileKind::kGguf; }

  Result<Middle> read(const Look& look, const Request& request) const override {
    FERRULE_TRY(auto file, gguf::open_file(look.path, request.open));
    const auto& header = file.header;
    if (header.text("general.type") != "adapter" || header.text("adapter.type") != "lora") {
      return base::unsupported("EX-1", "this GGUF file is not a LoRA adapter (general.type is " +
                                           quote(header.text("general.type")) + ")");
    }
    const auto name = header.text("general.architecture");
    const Architecture* architecture = nullptr;
    if (request.base.known() || !request.arch.empty()) {
      FERRULE_TRY(architecture, gguf::architecture_of(request.base, request.arch));
      if (architecture->name != name) {
        return base::unsupported("EX-11", "the adapter is of the architecture " + quote(name) +
                                              ", and the base is " + quote(architecture->name));
      }
    } else {
      architecture = gguf::architecture_named(name);
    }
    if (architecture == nullptr) {
      return base::unsupported("EX-9", "the architecture " + quote(name) +
                                           " is not among those whose names Ferrule knows");
    }
    Middle out;
    FERRULE_CHECK(Reader(file, *architecture, request, out).read());
    if (const auto* tokens = header.find(kTokens)) {
      if (const auto* list = std::get_if<std::vector<std::int64_t>>(tokens)) {
        out.facts.invocation_tokens = *list;
      }
    }
    const auto base_name = header.text("general.base_model.0.name");
    if (!base_name.empty()) out.facts.base_model = base_name;
    out.owners.push_back(file.owner);
    return out;
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    FERRULE_TRY(const auto* architecture, gguf::architecture_of(request.base, request.arch));
    return Writer(middle, *architecture, request, ledger).write();
  }
};

}  // namespace

const Dialect& gguf_dialect() {
  static const Gguf kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
