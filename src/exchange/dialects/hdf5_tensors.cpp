// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/hdf5_tensors.hpp"

#include <utility>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "format/hdf5/hdf5_file.hpp"
#include "io/input_file.hpp"
#include "io/mapping.hpp"

namespace ferrule::exchange {
namespace {

class Hdf5Tensors final : public TensorSource {
 public:
  static Result<std::shared_ptr<const TensorSource>> open(const std::filesystem::path& path,
                                                          const OpenOptions& options) {
    FERRULE_TRY(const auto file, io::InputFile::open(path));
    auto out = std::make_shared<Hdf5Tensors>();
    FERRULE_TRY(out->mapping_, io::Mapping::of(file, options.backing, options.threads));
    auto datasets = format::parse_hdf5(out->mapping_.bytes());
    if (!datasets) return base::at(std::move(datasets).error(), path.string());
    for (const auto& dataset : *datasets) {
      FERRULE_CHECK(out->tensors_.add(dataset.path, dataset.dtype, dataset.shape, dataset.bytes));
    }
    return std::shared_ptr<const TensorSource>(std::move(out));
  }

  std::span<const NamedTensor> tensors() const& noexcept override { return tensors_.tensors(); }
  std::optional<TensorView> find(std::string_view name) const& noexcept override {
    return tensors_.find(name);
  }
  std::span<const TensorAlias> aliases() const& noexcept override { return tensors_.aliases(); }

 private:
  io::Mapping mapping_;
  StateDict tensors_;
};

}  // namespace

Result<std::shared_ptr<const TensorSource>> open_hdf5(const std::filesystem::path& path,
                                                      const OpenOptions& options) {
  return Hdf5Tensors::open(path, options);
}

}  // namespace ferrule::exchange
