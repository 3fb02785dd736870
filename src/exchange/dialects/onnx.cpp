// SPDX-License-Identifier: Apache-2.0
// ONNX Runtime: a folder with adapter.onnx_adapter. Factors are transposed, the strength is in B,
// and names are those of the graph's inputs, as Olive makes them: PEFT's without
// `base_model.model.`.
#include <map>
#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/dialects.hpp"
#include "exchange/dialects/uniform.hpp"
#include "ferrule/text.hpp"
#include "format/onnx/onnx_adapter.hpp"
#include "io/input_file.hpp"
#include "io/mapping.hpp"

namespace ferrule::exchange {
namespace {

constexpr const char* kOnnxFile = "adapter.onnx_adapter";
constexpr std::string_view kOnnxA = ".lora_A.weight";
constexpr std::string_view kOnnxB = ".lora_B.weight";

/// A file in memory and what is in it.
struct Opened {
  io::Mapping mapping;
  std::vector<format::OnnxParameter> parameters;
};

Result<std::shared_ptr<const Opened>> open_onnx(const std::filesystem::path& path,
                                                const OpenOptions& options) {
  FERRULE_TRY(const auto file, io::InputFile::open(path));
  auto opened = std::make_shared<Opened>();
  FERRULE_TRY(opened->mapping, io::Mapping::of(file, options.backing, options.threads));
  auto parsed = format::parse_onnx_adapter(opened->mapping.bytes());
  if (!parsed) return base::at(parsed.error(), path);
  opened->parameters = std::move(parsed).value();
  return std::shared_ptr<const Opened>(std::move(opened));
}

struct Pair {
  Values a, b;
  std::string key;
};

Result<Middle> read_pairs(const Opened& opened) {
  std::map<std::string, Pair> modules;
  for (const auto& parameter : opened.parameters) {
    const auto name = parameter.name;
    const bool is_a = name.ends_with(kOnnxA);
    if ((!is_a && !name.ends_with(kOnnxB)) || parameter.shape.size() != 2 ||
        parameter.bytes.empty()) {
      return base::unsupported("EX-5", "tensor " + quote(name) +
                                           " is not a factor of LoRA (PATH.lora_A.weight or "
                                           "PATH.lora_B.weight)");
    }
    FERRULE_TRY(const auto view,
                TensorView::make(parameter.dtype, parameter.shape, parameter.bytes));
    auto& pair = modules[std::string(name.substr(0, name.size() - kOnnxA.size()))];
    (is_a ? pair.a : pair.b) = Values::of(view).transposed();
    if (pair.key.empty()) pair.key = name;
  }
  Middle out;
  for (auto& [path, pair] : modules) {
    if (pair.a.empty() || pair.b.empty()) {
      return base::corrupt("EX-8", "module " + quote(path) + " has only one of its two factors");
    }
    Site site;
    site.path = path;
    site.a = std::move(pair.a);
    site.b = std::move(pair.b);
    site.key = std::move(pair.key);
    site.rank = site.a.dim(0);
    site.alpha = static_cast<double>(site.rank);
    out.sites.push_back(std::move(site));
  }
  return out;
}

Result<PlannedFile> onnx_file(std::vector<TensorStream> tensors) {
  std::vector<format::OnnxOutput> outputs;
  for (const auto& tensor : tensors) {
    std::uint64_t bytes = bit_width(tensor.dtype) / 8;
    for (const auto extent : tensor.shape) bytes *= extent;
    outputs.push_back({tensor.name, tensor.dtype, tensor.shape, bytes});
  }
  FERRULE_TRY(auto frame, format::frame_onnx_adapter(outputs));
  return PlannedFile{.name = kOnnxFile,
                     .write = [tensors = std::move(tensors), outputs = std::move(outputs),
                               frame = std::move(frame)](io::OutputFile& out) -> Result<void> {
                       FERRULE_CHECK(out.write(std::as_bytes(std::span(frame.head))));
                       for (std::size_t i = 0; i < tensors.size(); ++i) {
                         FERRULE_CHECK(out.write(std::as_bytes(std::span(frame.before[i]))));
                         FERRULE_CHECK(write_stream(out, tensors[i], outputs[i].bytes));
                       }
                       return out.write(std::as_bytes(std::span(frame.after)));
                     }};
}

class Onnx final : public Dialect {
 public:
  std::string_view name() const override { return "onnx"; }
  std::string_view what() const override { return "ONNX Runtime"; }
  const Carries& carries() const override {
    static const Carries kCarries{.scale = ScalePlace::kNone, .extras = {}, .methods = {}};
    return kCarries;
  }

  bool detect(const Look& look) const override {
    return look.is_folder ? look.config.is_null() && look.has(kOnnxFile)
                          : look.kind == FileKind::kOnnxAdapter;
  }

  Result<Middle> read(const Look& look, const Request& request) const override {
    FERRULE_TRY(const auto opened,
                open_onnx(look.is_folder ? look.at(kOnnxFile) : look.path, request.open));
    FERRULE_TRY(auto out, read_pairs(*opened));
    out.owners.push_back(opened);
    return out;
  }

  Result<Plan> write(const Middle& middle, const Request& request, Ledger& ledger) const override {
    std::vector<TensorStream> tensors;
    for (const auto& site : middle.sites) {
      Folded both{site.a, site.b};
      if (site.scale != 1) {
        FERRULE_TRY(both, fold(site, site.scale, stored_dtype(site.b, request.dtype), ledger));
      }
      tensors.push_back(
          written(both.a.transposed(), site.path + std::string(kOnnxA), site.key, request, ledger));
      tensors.push_back(
          written(both.b.transposed(), site.path + std::string(kOnnxB), {}, request, ledger));
    }
    Plan plan;
    FERRULE_TRY(auto file, onnx_file(std::move(tensors)));
    plan.files.push_back(std::move(file));
    return plan;
  }
};

}  // namespace

const Dialect& onnx_dialect() {
  static const Onnx kDialect;
  return kDialect;
}

}  // namespace ferrule::exchange
