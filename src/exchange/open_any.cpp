// SPDX-License-Identifier: Apache-2.0
#include <deque>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "exchange/dialects/peft_form.hpp"
#include "exchange/request.hpp"
#include "ferrule/exchange.hpp"
#include "ferrule/text.hpp"
#include "io/kind_at.hpp"

namespace ferrule {
namespace {

/// Tensors that were put together, and what they refer to.
class MadeTensors final : public TensorSource {
 public:
  explicit MadeTensors(exchange::Middle middle) : middle_(std::move(middle)) {}

  Result<void> add(const TensorStream& stream) {
    auto& bytes = bytes_.emplace_back();
    const auto size = byte_size(stream.dtype, stream.shape);
    if (!size) return base::corrupt("EX-8", "tensor " + quote(stream.name) + " is too large");
    bytes.resize(static_cast<std::size_t>(*size));
    if (stream.read) FERRULE_CHECK(stream.read(0, bytes));
    return tensors_.add(stream.name, stream.dtype, stream.shape, bytes);
  }

  const exchange::Middle& middle() const noexcept { return middle_; }
  std::span<const NamedTensor> tensors() const& noexcept override { return tensors_.tensors(); }
  std::optional<TensorView> find(std::string_view name) const& noexcept override {
    return tensors_.find(name);
  }
  std::span<const TensorAlias> aliases() const& noexcept override { return tensors_.aliases(); }

 private:
  exchange::Middle middle_;
  std::deque<std::vector<std::byte>> bytes_;
  StateDict tensors_;
};

/// The one component that there is.
Result<std::string> only_component(const exchange::Middle& middle) {
  std::set<std::string> names;
  for (const auto& site : middle.sites) names.insert(site.component);
  for (const auto& extra : middle.extras) names.insert(extra.component);
  if (names.size() == 1) return *names.begin();
  return base::unsupported("EX-3", "it holds adapters of " + std::to_string(names.size()) +
                                       " models (" + *names.begin() +
                                       " ...): convert it with --to "
                                       "peft, which makes a folder for each");
}

}  // namespace

Result<Adapter> open_any(const std::filesystem::path& path, const ExchangeOptions& options) {
  FERRULE_TRY(const auto kind, io::kind_at(path));
  if (kind == io::EntryKind::kNothing) return Adapter::open(path, options.open);
  std::string program;
  if (options.from.empty()) {
    FERRULE_TRY(const auto look, exchange::look_at(path, options.open));
    const auto found = exchange::dialect_of(look);
    // What is PEFT's, and what is nothing that can be converted, is told as PEFT's opener tells it.
    const bool foreign = found ? (*found)->name() != "peft" : found.error().rule == "EX-2";
    if (!foreign) return Adapter::open(path, options.open);
    if (found) program = (*found)->what();
  }
  FERRULE_TRY(const auto request, exchange::make_request(options));
  auto source = exchange::read_source(path, options, request);
  if (!source) {
    auto error = source.error();
    if (!program.empty()) error.message = "of " + program + ", not of PEFT: " + error.message;
    return error;
  }
  auto opened = std::move(source).value();
  FERRULE_TRY(const auto component, only_component(opened.middle));
  auto tensors = std::make_unique<MadeTensors>(std::move(opened.middle));
  exchange::Ledger ledger({});
  FERRULE_TRY(auto form, exchange::peft_form(tensors->middle(), component, request, ledger));
  for (const auto& stream : form.tensors) FERRULE_CHECK(tensors->add(stream));
  FERRULE_TRY(auto adapter,
              Adapter::make(std::move(form.config), std::move(tensors), {.directory = path}));
  if (options.open.allow_errors) return adapter;
  if (auto error = adapter.first_error()) return *std::move(error);
  return adapter;
}

}  // namespace ferrule
