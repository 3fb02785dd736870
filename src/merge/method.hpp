// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "check/method_shapes.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/result.hpp"
#include "merge/live_tensors.hpp"
#include "merge/low_rank_step.hpp"
#include "merge/shared_places.hpp"
#include "merge/step.hpp"

namespace ferrule::merging {

/// nn.MultiheadAttention, whose projections PEFT adapts in its own way.
enum class Attention : std::uint8_t { kNone, kInput, kOutput };

/// A layer of the base and the module of an adapter that changes it.
struct Site {
  const Adapter* adapter = nullptr;
  const AdapterModule* module = nullptr;
  std::string live = {};  ///< The layer's path in the live model.
  checks::LayerKind kind = checks::LayerKind::kOther;
  Attention attention = Attention::kNone;
  /// transformers' Conv1D: the weight is [in, out].
  bool transposed = false;
  std::vector<std::uint64_t> shape = {};  ///< Of the live weight.
  bool has_bias = false;
  /// The weight on disk, if it is there as a whole.
  const DiskTensor* disk = nullptr;
  /// The same of the bias.
  const DiskTensor* disk_bias = nullptr;
  /// The dtype that the model is loaded in.
  Dtype dtype = Dtype::kF32;
  /// The layer's number among those that the adapter changes, in the model's order, and how many
  /// there are.
  std::size_t layer = 0;
  std::size_t layers = 0;
  /// Of all layers that the adapter changes: what shared projections are made for.
  std::size_t widest_out = 0;
  std::size_t widest_in = 0;
  /// Uni-LoRA's places that no file has, and the layer's first.
  std::shared_ptr<const SharedPlaces> places = {};
  std::size_t first_place = 0;
  double weight = 1;    ///< The user's --weight.
  double strength = 1;  ///< The module's own.
  bool undo = false;    ///< The update is taken off again.

  const AdapterConfig& config() const noexcept { return adapter->config(); }
  /// Features, or the weight seen as [out, in]: a convolution's in covers its kernel.
  std::size_t out() const noexcept;
  std::size_t in() const noexcept;
  /// The tensor of that role, in the module or of the whole model.
  const AdapterTensor* find(std::string_view role) const;
  Result<const AdapterTensor*> need(std::string_view role) const;
  /// An error about this module.
  Error refuse(std::string_view rule, std::string message) const;
};

/// transformers' Conv1D by the model's class, by the factors' shapes, or by the config.
bool is_conv1d(const Site& site, const checks::BaseLayer& layer);

/// True if the adapter changes the module, too, that the site's is in.
bool has_module_around(const Site& site);

/// A tensor on disk that is a part of a live parameter.
struct Place {
  const LiveTensor& live;
  const Part& part;
};

/// Makes what has to be done to one tensor on disk.
using StepMaker = std::function<Result<std::unique_ptr<Step>>(const Place&)>;

/// What a method does to a layer.
struct SiteSteps {
  std::vector<StepMaker> weight;
  std::vector<StepMaker> bias;
};

/// Thin factors whose product changes a parameter.
struct Factors {
  std::size_t rank = 0;
  std::size_t experts = 1;
  /// The parameter is a stack of experts: its first extent is theirs.
  bool stacked = false;
  /// Vectors of A over `in`, and of B over `out`, of each expert.
  std::function<Strided(std::size_t expert)> a;
  std::function<Strided(std::size_t expert)> b;
  LowRankStep::FloatMaker make_float = {};
  LowRankStep::Maker make_double = {};
  double scale = 1;
  double divisor = 1;
  DeltaRounding rounding = DeltaRounding::kNone;
  /// Rows of the parameter are `in`: an embedding, Conv1D, transposed experts.
  bool swapped = false;
};
StepMaker low_rank_maker(Factors factors);

/// A dense matrix.
template <typename T>
struct Matrix {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<T> values;

  Matrix() = default;
  Matrix(std::size_t r, std::size_t c) : rows(r), columns(c), values(r * c) {}
  Matrix(std::size_t r, std::size_t c, std::vector<T> v)
      : rows(r), columns(c), values(std::move(v)) {}
  T& at(std::size_t i, std::size_t j) noexcept { return values[i * columns + j]; }
  const T& at(std::size_t i, std::size_t j) const noexcept { return values[i * columns + j]; }
  T* row(std::size_t i) noexcept { return values.data() + i * columns; }
  const T* row(std::size_t i) const noexcept { return values.data() + i * columns; }
};

/// A method that is computed on the whole weight as [out, in].
struct Dense {
  enum class Gives : std::uint8_t {
    kDelta,   ///< What is added.
    kWeight,  ///< The new weight.
  };
  Gives gives = Gives::kDelta;
  /// The delta is rounded to the weight's dtype before it is added.
  DeltaRounding rounding = DeltaRounding::kNone;
  bool needs_original = false;
  /// The function takes the weight as it is on disk, Conv1D's not transposed.
  bool as_stored = false;
  /// `original` is the weight before any adapter, `out` is to be filled.
  Result<void> (*narrow)(const Site& site, const Rounding& rounding, const Matrix<float>& weight,
                         const Matrix<float>& original, Matrix<float>& out) = nullptr;
  Result<void> (*wide)(const Site& site, const Rounding& rounding, const Matrix<double>& weight,
                       const Matrix<double>& original, Matrix<double>& out) = nullptr;
};
StepMaker dense_maker(const Site& site, const Dense& dense);

/// The step, which is made for the whole weight, as one for that place. Fails with MG-10 if the
/// base keeps the weight in several tensors.
Result<std::unique_ptr<Step>> whole_weight_step(const Site& site, std::unique_ptr<Step> step,
                                                const Place& place);

/// The bias gets `factor` times the vector, is multiplied by it or divided by it.
StepMaker bias_adder(const TensorView& vector, double factor);
StepMaker bias_scaler(const TensorView& vector, double weight, bool divides);

/// What the module does to its layer. Fails with kUnsupported if PEFT does not merge it, or not
/// undo it.
Result<SiteSteps> plan_site(const Site& site);

}  // namespace ferrule::merging
