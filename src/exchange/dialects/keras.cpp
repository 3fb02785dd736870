// SPDX-License-Identifier: Apache-2.0
// keras-hub's Backbone.save_lora_weights: an HDF5 file NAME.lora.h5. Layers are numbered in the
// order in which the backbone lists those with weights, so the names depend on its class. The
// factors of q, k and v are one A for each head and one B for all, so that their rank counts per
// head. No strength: Keras multiplies by 1. Measured with keras 3.15.1, keras-hub 0.32.0.
#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>
#include <utility>

#include "base/ascii.hpp"
#include "base/errors.hpp"
#include "base/shape_text.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/factor_map.hpp"
#include "exchange/dialects/fused_modules.hpp"
#include "exchange/dialects/hdf5_tensors.hpp"
#include "exchange/dialects/keras_models.hpp"
#include "exchange/dialects/uniform.hpp"
#include "exchange/rope_rows.hpp"
#include "ferrule/text.hpp"
#include "format/hdf5/hdf5_file.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::string_view kKerasEnding = ".lora.h5";
constexpr const char* kKerasFile = "adapter.lora.h5";
constexpr std::string_view kWhy =
    "keras-hub numbers layers by the backbone, and counts ranks per "
    "head";

constexpr FactorSuffix kKerasSuffixes[] = {{"lora_kernel_a", &Factors::a},
                                           {"lora_kernel_b", &Factors::b}};

class Reader {
 public:
  Reader(const KerasBackbone& backbone, const Heads& heads, Middle& out)
      : backbone_(backbone), heads_(heads), out_(out) {}

  Result<void> read(const TensorSource& source) {
    std::map<std::uint64_t, Factors> layers;
    for (const auto& [own_name, tensor] : source.tensors()) {
      const auto& name = own_name;  // A lambda of clang 14 does not take the other.
      if (name == "lora/vars/rank") continue;
      const auto place = place_in(name);
      const auto suffix = std::find_if(
          std::begin(kKerasSuffixes), std::end(kKerasSuffixes),
          [&](const auto& one) { return name.ends_with("/vars/" + std::string(one.text)); });
      if (!place || suffix == std::end(kKerasSuffixes)) {
        return base::unsupported(
            "EX-5", "dataset " + quote(name) + " is none that keras-hub writes for an adapter");
      }
      if (tensor.shape().size() < 2 || tensor.shape().size() > 3 || tensor.element_count() == 0) {
        return base::corrupt("EX-8", "dataset " + quote(name) + " is not a matrix, or is empty");
      }
      auto& factors = layers[*place];
      factors.*(suffix->part) = Values::of(tensor);
      if (factors.key.empty()) factors.key = name;
    }
    for (const auto& [place, factors] : layers) FERRULE_CHECK(add(place, factors));
    return {};
  }

 private:
  static std::optional<std::uint64_t> place_in(std::string_view name) {
    constexpr std::string_view kLora = "lora/";
    if (!name.starts_with(kLora)) return std::nullopt;
    name.remove_prefix(kLora.size());
    const auto digits = name.substr(0, name.find('/'));
    if (!base::is_number(digits) || digits.size() > 8) return std::nullopt;
    std::uint64_t place = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), place);
    return place;
  }

  Result<void> add(std::uint64_t place, const Factors& factors) {
    const auto block = place < backbone_.first ? 0 : (place - backbone_.first) / backbone_.step;
    const auto inside = place < backbone_.first ? 0 : (place - backbone_.first) % backbone_.step;
    const auto found = std::find_if(backbone_.layers.begin(), backbone_.layers.end(),
                                    [&](const KerasLayer& layer) { return layer.place == inside; });
    if (found == backbone_.layers.end()) {
      return base::unsupported("EX-9", "layer " + std::to_string(place) + " (" +
                                           quote(factors.key) + ") is none of those that " +
                                           std::string(backbone_.model_type) +
                                           " has there; is the adapter of another model?");
    }
    const auto& a = factors.a.shape();
    const auto& b = factors.b.shape();
    const std::size_t dimensions = found->kernel == Kernel::kDense ? 2 : 3;
    if (a.size() != dimensions || b.size() != 2 || a.back() != b.front()) {
      return base::corrupt("EX-8", "layer " + std::to_string(place) +
                                       " has factors that do not fit each other: " +
                                       base::shape_text(a) + " and " + base::shape_text(b));
    }
    const auto heads = keras_heads_at(*found, heads_);
    const std::size_t axis = found->kernel == Kernel::kHeads && !backbone_.heads_first ? 1 : 0;
    if (dimensions == 3 && a[axis] != heads) {
      return base::unsupported("EX-11", "layer " + std::to_string(place) + " is of " +
                                            std::to_string(a[axis]) + " heads, and the base has " +
                                            std::to_string(heads));
    }
    Site site;
    site.path =
        std::string(backbone_.layers_at) + std::to_string(block) + "." + std::string(found->path);
    site.key = factors.key;
    place_factors(*found, factors, heads, site);
    site.rank = site.a.dim(0);
    site.alpha = static_cast<double>(site.rank);
    out_.sites.push_back(std::move(site));
    return {};
  }

  void place_factors(const KerasLayer& layer, const Factors& factors, std::uint64_t heads,
                     Site& site) const {
    const auto rank = factors.b.dim(0);
    site.b = factors.b.transposed();
    if (layer.kernel == Kernel::kDense) {
      site.a = factors.a.transposed();
    } else if (layer.kernel == Kernel::kOutput) {
      site.a = factors.a.reshaped({heads * factors.a.dim(1), rank}).transposed();
    } else {
      // [heads, rank, in]: each head's A, whose B is that of all.
      const std::array<std::size_t, 3> in_first = {1, 2, 0}, heads_first = {0, 2, 1};
      const auto apart = factors.a.permuted(backbone_.heads_first ? heads_first : in_first);
      std::vector<Values> rows;
      for (std::uint64_t head = 0; head < heads; ++head) {
        rows.push_back(apart.slice(0, head, 1).without_axis(0));
      }
      site.a = Values::concatenated(rows, 0);
      const std::vector<Values> blocks(static_cast<std::size_t>(heads), site.b);
      site.b = Values::block_diagonal(blocks);
    }
  }

  const KerasBackbone& backbone_;
  const Heads& heads_;
  Middle& out_;
};

/// One layer of the file: A and B as Keras has them.
struct KerasFactors {
  Values a, b;
  std::string key;
};

class Writer {
 public:
  Writer(const Middle& middle, const KerasBackbone& backbone, const Heads& heads,
         const Request& request, Ledger& ledger)
      : middle_(middle), backbone_(backbone), heads_(heads), request_(request), ledger_(ledger) {}

  Result<Plan> write() {
    FERRULE_TRY(const auto sites, with_parts_apart(middle_.sites, request_.base));
    for (const auto& site : sites) FERRULE_CHECK(add(site));
    FERRULE_CHECK(ledger_.finish());
    fill();
    for (const auto& [place, factors] : layers_) rank_ = std::max(rank_, factors.b.dim(0));
    std::vector<TensorStream> tensors;
    for (const auto& [place, factors] : layers_) {
      const auto stem = "lora/" + std::to_string(place) + "/vars/";
      const std::size_t last = factors.a.shape().size() - 1;
      tensors.push_back(stream(factors.a.padded(last, rank_), stem + "lora_kernel_a", factors.key));
      tensors.push_back(stream(factors.b.padded(0, rank_), stem + "lora_kernel_b", {}));
    }
    note_targets();
    FERRULE_TRY(auto file, keras_file(std::move(tensors)));
    Plan plan;
    plan.files.push_back(std::move(file));
    return plan;
  }

 private:
  Result<void> add(const Site& site) {
    const std::string_view path = site.path;
    const auto before = backbone_.layers_at.size();
    const auto dot = path.find('.', before);
    std::uint64_t block = 0;
    const KerasLayer* layer = nullptr;
    if (path.starts_with(backbone_.layers_at) && dot != path.npos && dot < before + 8) {
      const auto digits = path.substr(before, dot - before);
      std::from_chars(digits.data(), digits.data() + digits.size(), block);
      for (const auto& one : backbone_.layers) {
        if (base::is_number(digits) && one.path == path.substr(dot + 1)) layer = &one;
      }
    }
    if (layer == nullptr) {
      ledger_.lost("modules", site, "keras-hub's backbone has no such layer for LoRA");
      return {};
    }
    FERRULE_TRY(const auto both,
                fold(site, site.scale, stored_dtype(site.b, request_.dtype), ledger_));
    KerasFactors factors{.a = both.a, .b = both.b, .key = site.key};
    FERRULE_CHECK(arrange(*layer, site, factors));
    targets_.insert(layer->layer);
    layers_[backbone_.first + block * backbone_.step + layer->place] = std::move(factors);
    blocks_ = std::max(blocks_, block + 1);
    return {};
  }

  Result<void> arrange(const KerasLayer& layer, const Site& site, KerasFactors& factors) const {
    const auto heads = keras_heads_at(layer, heads_);
    const bool output = layer.kernel == Kernel::kOutput;
    const auto rows = output ? factors.a.dim(1) : factors.b.dim(0);
    if (rows % heads != 0) {
      return base::unsupported("EX-11", "module " + quote(site.name()) + " is " +
                                            std::to_string(rows) + " wide, which " +
                                            std::to_string(heads) +
                                            " heads of the base do not divide");
    }
    const auto width = rows / heads;
    if (layer.kernel == Kernel::kHeads) {
      arrange_heads(heads, width, factors);
      return {};
    }
    factors.a = factors.a.transposed();
    if (output) factors.a = factors.a.reshaped({heads, width, factors.a.dim(1)});
    factors.b = factors.b.transposed();
    return {};
  }

  /// B of a head is its own in PEFT and shared in Keras: columns of B that only one head uses, the
  /// same for each, stay the rank that they are; others become a part of the rank for each head.
  void arrange_heads(std::uint64_t heads, std::uint64_t width, KerasFactors& factors) const {
    const auto rank = factors.a.dim(0);
    const bool shared = rank % heads == 0 && is_repeated(factors.b, heads, width);
    const auto each = shared ? rank / heads : rank;
    std::vector<Values> a, b;
    for (std::uint64_t head = 0; head < heads; ++head) {
      const auto mine = factors.b.slice(0, head * width, width);
      if (shared) {
        a.push_back(factors.a.slice(0, head * each, each).transposed());
        if (head == 0) b.push_back(mine.slice(1, 0, each).transposed());
        continue;
      }
      const auto rows = factors.a.dim(1);
      const std::array parts = {
          Values::zeros(factors.a.dtype(), {head * rank, rows}), factors.a,
          Values::zeros(factors.a.dtype(), {(heads - head - 1) * rank, rows})};
      a.push_back(Values::concatenated(parts, 0).transposed());
      b.push_back(mine.transposed());
    }
    factors.a = Values::stacked(a);
    if (!backbone_.heads_first) {
      const std::array<std::size_t, 3> in_first = {1, 0, 2};
      factors.a = factors.a.permuted(in_first);
    }
    factors.b = Values::concatenated(b, 0);
  }

  static bool is_repeated(const Values& b, std::uint64_t heads, std::uint64_t width) {
    const auto each = b.dim(1) / heads;
    const auto first = b.slice(0, 0, width).slice(1, 0, each);
    const auto none = Values::zeros(b.dtype(), {width, each});
    for (std::uint64_t row = 0; row < heads; ++row) {
      const auto rows = b.slice(0, row * width, width);
      for (std::uint64_t column = 0; column < heads; ++column) {
        const auto block = rows.slice(1, column * each, each);
        if (!block.same_values(row == column ? first : none)) return false;
      }
    }
    return true;
  }

  /// load_lora_weights wants every layer of a name: those without an adapter are zeros.
  void fill() {
    if (const auto* model = request_.base.model()) {
      const auto count = model->integer("num_hidden_layers");
      if (count && *count > 0 && *count < 100000) {
        blocks_ = std::max(blocks_, static_cast<std::uint64_t>(*count));
      }
    }
    for (const auto& layer : backbone_.layers) {
      if (!targets_.contains(layer.layer)) continue;
      const KerasFactors* like = nullptr;
      for (std::uint64_t block = 0; block < blocks_; ++block) {
        const auto found = layers_.find(backbone_.first + block * backbone_.step + layer.place);
        if (found != layers_.end()) like = &found->second;
      }
      for (std::uint64_t block = 0; block < blocks_; ++block) {
        layers_.try_emplace(backbone_.first + block * backbone_.step + layer.place,
                            KerasFactors{.a = Values::zeros(like->a.dtype(), like->a.shape()),
                                         .b = Values::zeros(like->b.dtype(), like->b.shape()),
                                         .key = {}});
      }
    }
  }

  void note_targets() {
    std::string names;
    for (const auto target : targets_) names += (names.empty() ? "" : ", ") + std::string(target);
    ledger_.note("before load_lora_weights: backbone.enable_lora(" + std::to_string(rank_) +
                 ", target_layer_names=[" + names + "])");
  }

  /// HDF5 has no type for bfloat16.
  TensorStream stream(const Values& values, std::string name, const std::string& key) {
    const auto wanted = stored_dtype(values, request_.dtype);
    return written(wanted == Dtype::kBF16 ? values.as(Dtype::kF32) : values, std::move(name), key,
                   request_, ledger_);
  }

  Result<PlannedFile> keras_file(std::vector<TensorStream> tensors) const {
    auto rank = std::make_shared<const std::int64_t>(static_cast<std::int64_t>(rank_));
    tensors.push_back({.name = "lora/vars/rank",
                       .dtype = Dtype::kI64,
                       .shape = {},
                       .bytes = std::as_bytes(std::span(rank.get(), 1)),
                       .owner = rank});
    std::vector<format::Hdf5Output> outputs;
    for (const auto& tensor : tensors) {
      const auto bytes = byte_size(tensor.dtype, tensor.shape);
      if (!bytes) return base::unsupported("EX-23", quote(tensor.name) + " is too large");
      outputs.push_back({tensor.name, tensor.dtype, tensor.shape, *bytes});
    }
    FERRULE_TRY(auto head, format::frame_hdf5(outputs));
    return PlannedFile{.name = kKerasFile,
                       .write = [tensors = std::move(tensors), outputs = std::move(outputs),
                                 head = std::move(head)](io::OutputFile& out) -> Result<void> {
                         FERRULE_CHECK(out.write(std::as_bytes(std::span(head))));
                         for (std::size_t i = 0; i < tensors.size(); ++i) {
                           FERRULE_CHECK(write_stream(out, tensors[i], outputs[i].bytes));
                           const std::array<std::byte, 8> end{};
                           const auto gap = static_cast<std::size_t>(-outputs[i].bytes % 8);
                           FERRULE_CHECK(out.write(std::span(end).first(gap)));
                         }
                         return {};
                       }};
  }

  const Middle& middle_;
  const KerasBackbone& backbone_;
  const Heads& heads_;
  const Request& request_;
  Ledger& ledger_;
  std::map<std::uint64_t, KerasFactors> layers_;
  std::set<std::string_view> targets_;
  std::uint64_t blocks_ = 0;
  std::uint64_t rank_ = 1;
};

class Keras final : public Dialect {
 public:
  std::string_view name() const override { return "keras"; }
  std::string_view what() const override { return "keras-hub (HDF5)"; }
  const Carries& carries() const override {
    static const Carries kCarries{.scale = ScalePlace::kNone, .extras = {}, .methods = {}};
    return kCarries;
  }

  bool detect(const Look& look) const override {
    if (look.is_folder) return look.config.is_null() && !file_in(look).empty();
    return look.kind == FileKind::kHdf5;
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    const auto path = look.is_folder ? look.at(file_in(look)) : look.path;
    FERRULE_TRY(const auto* backbone, keras_backbone_of(request));
    FERRULE_TRY(const auto heads, heads_of(request.base, kWhy));
    FERRULE_TRY(const auto opened, open_hdf5(path, request.open));
    Middle out;
    FERRULE_CHECK(Reader(*backbone, heads, out).read(*opened));
    FERRULE_CHECK(join_parts(out.sites, request.base));
    out.owners.push_back(opened);
    return out;
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    FERRULE_TRY(const auto* backbone, keras_backbone_of(request));
    FERRULE_TRY(const auto heads, heads_of(request.base, kWhy));
    return Writer(middle, *backbone, heads, request, ledger).write();
  }

 private:
  static std::string file_in(const Look& look) {
    for (const auto& name : look.names) {
      if (name.ends_with(kKerasEnding)) return name;
    }
    return {};
  }
};

}  // namespace

const Dialect& keras_dialect() {
  static const Keras kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
