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
#include "exchange/dialects/gguf/reader.hpp"
#include "exchange/dialects/mlx_names.hpp"
#include "exchange/experts.hpp"
#include "exchange/fold.hpp"
#include "ferrule/text.hpp"

namespace ferrule::exchange {
namespace {

using gguf::Architecture;
using gguf::Entry;

constexpr const char* kTokens = "adapter.alora.invocation_tokens";
/// ggml's limit on a name, with its end.
constexpr std::size_t kMaxName = 63;

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
    if (!ignored_.empty()) {
      ledger_.note("llama.cpp loads the adapter of " + std::to_string(ignored_.size()) +
                   " modules (" + quote(ignored_.front()) +
                   ") and computes without it: it applies "
                   "none there in models of " +
                   std::string(architecture_.name));
    }
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

  /// The tensors of a module; none if it was lost.
  Result<std::vector<gguf::Piece>> pieces(const Site& site, std::string_view path) {
    auto found = gguf::pieces_of(architecture_, path);
    if (found.empty()) {
      ledger_.lost("modules", site,
                   "llama.cpp has no tensor for the module " + quote(path) + " of " +
                       std::string(architecture_.class_name));
      return found;
    }
    const auto& name = found.front().tensor;
    const bool head = name == "output";
    const bool embedding = site.kind == SiteKind::kEmbedding;
    const bool is_input = name == gguf::kEmbedding;
    if ((head || (embedding && is_input)) && ties_embeddings(request_.base)) {
      ledger_.lost(
          "embeddings", site,
          head ? "the base ties its head to the embedding, so that llama.cpp has no tensor for "
                 "the head"
               : "the base ties its head to the embedding, and llama.cpp ends the process on such "
                 "an adapter");
      return std::vector<gguf::Piece>();
    }
    if (embedding != is_input) {
      ledger_.lost("embeddings", site, "llama.cpp applies no adapter to this embedding");
      return std::vector<gguf::Piece>();
    }
    for (const auto& piece : found) {
      if (piece.tensor.size() + 14 > kMaxName) {
        return base::unsupported("EX-9",
                                 "the name " + quote(piece.tensor) + " is too long for GGUF");
      }
      if (gguf::is_ignored(architecture_, piece.tensor)) ignored_.push_back(site.path);
    }
    return found;
  }

  Result<void> add_site(const Site& site) {
    FERRULE_TRY(const auto found, pieces(site, site.path));
    if (found.empty()) return {};
    FERRULE_TRY(const auto both, factors(site));
    std::string key = site.key;
    for (const auto& piece : found) {
      Values a = both.a, b = both.b;
      const bool columns = gguf::is_of_columns(piece.rows);
      auto& changed = columns ? a : b;
      const std::size_t axis = columns ? 1 : 0;
      FERRULE_TRY(const auto order,
                  gguf::order_of(piece.rows, site.path, changed.dim(axis), request_.base));
      if (order) changed = changed.gathered(axis, order);
      if (site.kind == SiteKind::kEmbedding) a = a.transposed();
      add(piece.tensor + ".weight.lora_a", a, std::exchange(key, {}));
      add(piece.tensor + ".weight.lora_b", b, {});
    }
    // The reader knows one spelling of each module.
    const auto again = gguf::place_of(architecture_, found.front().tensor);
    if (again && again->path != site.path) plan_.renamed_sites[site.name()] = again->path;
    return {};
  }

  Result<void> add_group(const ExpertGroup& group) {
    const auto& first = group.sites.front();
    const auto path = group.experts + ".0." + std::string(group.part) + "_proj";
    FERRULE_TRY(const auto found, pieces(first, path));
    if (found.empty()) {
      ledger_.leave_out(group.sites);
      return {};
    }
    const auto& name = found.front().tensor;
    std::vector<Values> a, b;
    for (std::size_t i = 0; i < group.sites.size(); ++i) {
      FERRULE_TRY(const auto both, factors(group.sites[i]));
      a.push_back(both.a);
      b.push_back(both.b);
    }
    add(name + ".weight.lora_a", Values::stacked(a), group.key);
    add(name + ".weight.lora_b", Values::stacked(b), {});
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
        {gguf::kAlpha, alpha_},
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
  /// Modules that llama.cpp computes without their adapter.
  std::vector<std::string> ignored_;
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
    FERRULE_CHECK(gguf::read_sites(file, *architecture, request, out));
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
