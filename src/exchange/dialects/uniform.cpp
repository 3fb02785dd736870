// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/uniform.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/try.hpp"

namespace ferrule::exchange {
namespace {

constexpr std::uint64_t kWritePiece = std::uint64_t{1} << 20;

double common_scale(std::span<const Site> sites) {
  std::vector<Site> working(sites.begin(), sites.end());
  std::erase_if(working, [](const Site& site) { return site.scale == 0; });
  return working.empty() ? 1 : most_common_scale(working);
}

}  // namespace

Uniform::Uniform(std::span<const Site> sites, const Request& request)
    : Uniform(sites, request, common_scale(sites)) {}

Uniform::Uniform(std::span<const Site> sites, const Request& request, double scale)
    : dtype_(request.dtype) {
  for (const auto& site : sites) rank_ = std::max(rank_, site.rank);
  alpha_ = scale * static_cast<double>(rank_);
  scale_ = alpha_ / static_cast<double>(rank_);
}

Result<Folded> Uniform::factors(const Site& site, Ledger& ledger) const {
  Folded both{site.a, site.b};
  if (site.scale != scale_) {
    FERRULE_TRY(both, fold(site, site.scale / scale_, stored_dtype(site.b, dtype_), ledger));
  }
  both.a = both.a.padded(0, rank_);
  both.b = both.b.padded(1, rank_);
  return both;
}

TensorStream written(const Values& values, std::string name, const std::string& key,
                     const Request& request, Ledger& ledger) {
  const auto dtype = stored_dtype(values, request.dtype);
  if (dtype != values.dtype()) ledger.rounded(name, std::string(dtype_name(dtype)));
  if (!key.empty()) ledger.renamed(key, name);
  return values.stream(std::move(name), dtype);
}

Result<void> write_stream(io::OutputFile& out, const TensorStream& tensor, std::uint64_t bytes) {
  std::vector<std::byte> piece;
  for (std::uint64_t at = 0; at < bytes; at += kWritePiece) {
    piece.resize(static_cast<std::size_t>(std::min(kWritePiece, bytes - at)));
    if (tensor.read) {
      FERRULE_CHECK(tensor.read(at, piece));
      FERRULE_CHECK(out.write(std::span<const std::byte>(piece)));
    } else {
      FERRULE_CHECK(out.write(tensor.bytes.subspan(static_cast<std::size_t>(at), piece.size())));
    }
  }
  return {};
}

}  // namespace ferrule::exchange
