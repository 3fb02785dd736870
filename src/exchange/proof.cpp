// SPDX-License-Identifier: Apache-2.0
#include "exchange/proof.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/text.hpp"
#include "update/tensor_values.hpp"

namespace ferrule::exchange {
namespace {

/// Rows of A and columns of B of two updates side by side, as doubles, a window at a time: sums of
/// products of all pairs.
class Products {
 public:
  explicit Products(std::size_t vectors) : vectors_(vectors), sums_(vectors * vectors) {}

  /// `window` holds `length` elements of each vector, vector by vector.
  void add(std::span<const double> window, std::size_t length) {
    for (std::size_t i = 0; i < vectors_; ++i) {
      const double* x = window.data() + i * length;
      for (std::size_t j = i; j < vectors_; ++j) {
        const double* y = window.data() + j * length;
        double sum = 0;
        for (std::size_t k = 0; k < length; ++k) sum += x[k] * y[k];
        sums_[i * vectors_ + j] += sum;
      }
    }
  }
  double at(std::size_t i, std::size_t j) const {
    return i <= j ? sums_[i * vectors_ + j] : sums_[j * vectors_ + i];
  }

 private:
  std::size_t vectors_;
  std::vector<double> sums_;
};

constexpr std::size_t kWindow = 512;

/// A as [rank, everything else]: rows are vectors.
Values rows_of(const Values& a) {
  std::uint64_t rest = 1;
  for (std::size_t i = 1; i < a.shape().size(); ++i) rest *= a.dim(i);
  return a.reshaped({a.dim(0), rest});
}

/// B as [rank, out].
Values columns_of(const Values& b) { return b.reshaped({b.dim(0), b.dim(1)}).transposed(); }

/// Inner products of the vectors (rows) of both, which are equally long.
Products products_of(const Values& x, const Values& y) {
  const auto vectors = static_cast<std::size_t>(x.dim(0) + y.dim(0));
  Products out(vectors);
  std::vector<double> window;
  std::uint64_t read = 0;
  for (std::uint64_t first = 0; first < x.dim(1); first += kWindow) {
    const auto length =
        static_cast<std::size_t>(std::min<std::uint64_t>(kWindow, x.dim(1) - first));
    window.resize(vectors * length);
    const std::span<double> all(window);
    const auto mine = static_cast<std::size_t>(x.dim(0)) * length;
    x.slice(1, first, length).read(0, all.first(mine));
    y.slice(1, first, length).read(0, all.subspan(mine));
    out.add(window, length);
    read += window.size();
    if (read < Values::kReleaseAfter) continue;
    x.release();
    y.release();
    read = 0;
  }
  return out;
}

/// The greater of two errors; NaN, of values that are not finite, is greater than all.
double worse(double x, double y) { return std::isnan(x) || x > y ? x : y; }

/// Of squares.
double ratio_of(double distance, double norm) {
  if (!std::isfinite(distance) || !std::isfinite(norm)) return std::nan("");
  if (norm <= 0) return distance <= 0 ? 0 : HUGE_VAL;
  return std::sqrt(std::max(distance, 0.0) / norm);
}

double relative(const Values& x, const Values& y) {
  std::vector<double> a, b;
  double norm = 0, distance = 0;
  const auto count = x.element_count();
  for (std::uint64_t first = 0; first < count; first += a.size()) {
    if (first != 0 && first % Values::kReleaseAfter == 0) {
      x.release();
      y.release();
    }
    a.resize(std::min<std::uint64_t>(kWindow * 16, count - first));
    b.resize(a.size());
    x.read(first, std::span(a));
    y.read(first, std::span(b));
    for (std::size_t i = 0; i < a.size(); ++i) {
      norm += a[i] * a[i];
      distance += (a[i] - b[i]) * (a[i] - b[i]);
    }
  }
  return ratio_of(distance, norm);
}

/// Zeros that a file with one rank was padded with do not count.
Values without_padding(const Values& values, std::size_t axis, std::uint64_t rank) {
  if (values.dim(axis) <= rank) return values;
  const auto rest = values.slice(axis, rank, values.dim(axis) - rank);
  std::vector<double> piece;
  const auto count = rest.element_count();
  for (std::uint64_t first = 0; first < count; first += piece.size()) {
    piece.resize(std::min<std::uint64_t>(kWindow * 16, count - first));
    rest.read(first, std::span(piece));
    if (std::any_of(piece.begin(), piece.end(), [](double v) { return v != 0; })) return values;
  }
  return values.slice(axis, 0, rank);
}

void release(const Site& site) {
  for (const auto* values : {&site.a, &site.b, &site.mid, &site.magnitude, &site.bias}) {
    values->release();
  }
  for (const auto& [role, values] : site.others) values.release();
}

/// The dtypes' own rounding, with room for the sums.
double allowed(const Site& site) {
  double each = update::unit_roundoff(Dtype::kF32);
  for (const auto* values : {&site.a, &site.b}) {
    if (!values->empty()) each = std::max(each, values->roundoff());
  }
  for (const auto& [role, values] : site.others) each = std::max(each, values.roundoff());
  return 4 * each;
}

std::string off_by(double error) {
  if (std::isnan(error)) return "has values that are not finite, or that its dtype cannot hold";
  char text[80];
  std::snprintf(text, sizeof text, "is off by %.2e, more than its dtype's rounding", error);
  return text;
}

Error failed(std::string message) { return base::corrupt("EX-7", std::move(message)); }

Result<double> compare_values(const Values& x, const Values& y, const std::string& name,
                              std::string_view what) {
  if (x.empty() && y.empty()) return 0.0;
  if (x.empty() != y.empty() || x.element_count() != y.element_count()) {
    return failed("the output read back has another " + std::string(what) + " at " + quote(name));
  }
  if (x.same_values(y.reshaped(x.shape()), 1)) return 0.0;
  return relative(x, y);
}

/// The tensor of LoHa or LoKr that a strength is folded into.
bool is_lead(const std::string& role) {
  return role == "lokr_w1" || role == "lokr_w1_a" || role == "hada_w1_a";
}

/// Everything of a site but A and B.
Result<double> compare_rest(const Site& before, const Site& after) {
  double worst = 0;
  const auto add = [&](const Values& x, const Values& y, std::string_view what) -> Result<void> {
    FERRULE_TRY(const double error, compare_values(x, y, before.name(), what));
    worst = worse(worst, error);
    return {};
  };
  FERRULE_CHECK(add(before.magnitude, after.magnitude, "magnitude"));
  FERRULE_CHECK(add(before.bias, after.bias, "bias"));
  FERRULE_CHECK(add(before.mid, after.mid, "core"));
  for (const auto& [role, values] : before.others) {
    const auto found = after.others.find(role);
    if (found == after.others.end()) {
      return failed("the output read back has no " + role + " at " + quote(before.name()));
    }
    // The strength may be folded into one of them.
    const bool lead = is_lead(role);
    FERRULE_CHECK(add(lead ? values.scaled(before.scale) : values,
                      lead ? found->second.scaled(after.scale) : found->second, role));
  }
  return worst;
}

Result<double> compare_sites(const Site& before, const Site& after) {
  // Only factors A and B say what kind of module it is.
  const bool other_kind = !before.a.empty() && before.kind != after.kind;
  if (before.method != after.method || other_kind) {
    return failed("the output read back is of another method at " + quote(before.name()));
  }
  FERRULE_TRY(double worst, compare_rest(before, after));
  if (before.a.empty()) {
    const bool compared = std::any_of(before.others.begin(), before.others.end(),
                                      [](const auto& other) { return is_lead(other.first); });
    if (!compared && before.scale != after.scale) {
      worst = std::max(worst, std::fabs(before.scale - after.scale) / std::fabs(before.scale));
    }
    return worst;
  }
  const auto a = rows_of(before.a), a2 = rows_of(after.a);
  if (a.dim(1) != a2.dim(1) || before.b.dim(0) != after.b.dim(0)) {
    return failed("the output read back has another shape at " + quote(before.name()));
  }
  return worse(worst, update_distance(before, after));
}

}  // namespace

double update_distance(const Site& x, const Site& y) {
  Values a = rows_of(x.a), a2 = rows_of(y.a);
  Values b = columns_of(x.b), b2 = columns_of(y.b);
  a2 = without_padding(a2, 0, a.dim(0));
  b2 = without_padding(b2, 0, a2.dim(0));
  if (a.dim(0) == a2.dim(0) && a.dim(0) == b2.dim(0) && a.same_values(a2, 1)) {
    const double ratio = x.scale == y.scale ? 1 : y.scale / x.scale;
    if (b.same_values(b2, ratio)) return 0;
    // A is shared: |(B - B') A|^2 without cancellation, and without the Grams of both.
    if (x.scale != 0) {
      const auto common = products_of(a, Values::zeros(Dtype::kF32, {0, a.dim(1)}));
      const std::size_t rank = static_cast<std::size_t>(a.dim(0));
      const auto changed = products_of(b, b2);
      double norm = 0, distance = 0;
      for (std::size_t i = 0; i < rank; ++i) {
        for (std::size_t j = 0; j < rank; ++j) {
          const double mine = changed.at(i, j);
          norm += common.at(i, j) * mine;
          distance +=
              common.at(i, j) * (mine - ratio * (changed.at(i, rank + j) + changed.at(rank + i, j) -
                                                 ratio * changed.at(rank + i, rank + j)));
        }
      }
      if (!(norm <= 0)) return ratio_of(distance, norm);
    }
  }
  if (b2.dim(0) != a2.dim(0)) return HUGE_VAL;
  const auto pa = products_of(a, a2);
  const auto pb = products_of(b, b2);
  const auto rank = static_cast<std::size_t>(a.dim(0));
  const auto all = rank + static_cast<std::size_t>(a2.dim(0));
  double norm = 0, distance = 0;
  for (std::size_t i = 0; i < all; ++i) {
    for (std::size_t j = 0; j < all; ++j) {
      const double weight_i = i < rank ? x.scale : -y.scale;
      const double weight_j = j < rank ? x.scale : -y.scale;
      const double term = weight_i * weight_j * pa.at(i, j) * pb.at(i, j);
      distance += term;
      if (i < rank && j < rank) norm += term;
    }
  }
  return ratio_of(distance, norm);
}

Result<void> prove(const Middle& before, const Middle& after,
                   const std::map<std::string, std::string>& renamed, Ledger& ledger) {
  auto& report = ledger.report();
  std::map<std::string, const Site*> read_back;
  for (const auto& site : after.sites) read_back.emplace(site.name(), &site);
  std::uint64_t sites = 0;
  for (const auto& site : before.sites) {
    if (ledger.is_gone(site)) continue;
    ++sites;
    const auto other = renamed.find(site.name());
    const auto found = read_back.find(other == renamed.end() ? site.name() : other->second);
    if (found == read_back.end()) {
      return failed("the output read back has no " + quote(site.name()));
    }
    FERRULE_TRY(const double error, compare_sites(site, *found->second));
    if (!(error <= allowed(*found->second))) {
      return failed("the update of " + quote(site.name()) + " in the output read back " +
                    off_by(error));
    }
    if (error > report.largest_error) {
      report.largest_error = error;
      report.largest_error_site = site.name();
    }
    for (const auto* side : {&site, found->second}) release(*side);
    read_back.erase(found);
  }
  // Experts without an adapter are written as zeros if their layer has others.
  for (const auto& [name, site] : read_back) {
    if (!site->b.same_values(Values::zeros(site->b.dtype(), site->b.shape()), 1)) {
      return failed("the output read back has a site too many, " + quote(name));
    }
  }
  std::map<std::string, const Extra*> extras;
  for (const auto& extra : after.extras) extras.emplace(extra.name(), &extra);
  for (const auto& extra : before.extras) {
    const auto found = extras.find(extra.name());
    if (found == extras.end()) {
      return failed("the output read back has no tensor " + quote(extra.name()));
    }
    FERRULE_TRY(const double error,
                compare_values(extra.values, found->second->values, extra.name(), "tensor"));
    if (!(error <=
          4 * std::max(found->second->values.roundoff(), update::unit_roundoff(Dtype::kF32)))) {
      return failed("the tensor " + quote(extra.name()) + " in the output read back " +
                    off_by(error));
    }
    report.largest_error = std::max(report.largest_error, error);
    extra.values.release();
    found->second->values.release();
  }
  report.sites = sites;
  return {};
}

}  // namespace ferrule::exchange
