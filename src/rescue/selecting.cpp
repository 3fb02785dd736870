// SPDX-License-Identifier: Apache-2.0
// An adapter is selected by the names and shapes of all tensors that the checkpoint lists. Until
// they are needed, their bytes are addresses without memory: the address that a selected tensor has
// says which one it is.
#include "rescue/selecting.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/checked.hpp"
#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/tensor_source.hpp"
#include "ferrule/text.hpp"
#include "peft/key_path.hpp"
#include "rescue/adapter_choice.hpp"

namespace ferrule::rescues {
namespace {

/// RS-13: as PK-15 bounds a single file.
constexpr std::uint64_t kExpansion = 8;
constexpr std::uint64_t kExpansionSpare = std::uint64_t{16} << 20;
constexpr std::uint64_t kMaxAddresses = std::uint64_t{1} << 45;
constexpr std::uint64_t kMaxPrompt = std::uint64_t{1} << 30;

class Selector {
 public:
  Selector(const std::shared_ptr<Sources>& sources, const std::shared_ptr<Found>& found,
           const AdapterConfig& config, const std::string& adapter)
      : sources_(sources), found_(found), config_(config), wanted_(adapter) {}

  Result<Chosen> choose() {
    FERRULE_CHECK(unflatten());
    FERRULE_CHECK(make_state());
    AdapterChoice choice(config_, wanted_, found_->folder);
    FERRULE_TRY(auto selection, choice.select(state_));
    Chosen chosen{.name = choice.name(),
                  .config = std::move(selection.config),
                  .tensors = {},
                  .findings = std::move(selection.findings)};
    FERRULE_CHECK(choice.judge(chosen.config, selection.tensors, chosen.findings));
    for (auto& tensor : selection.tensors) {
      FERRULE_TRY(auto stream, stream_of(std::move(tensor)));
      chosen.tensors.push_back(std::move(stream));
    }
    FERRULE_CHECK(prove(chosen.tensors));
    return chosen;
  }

 private:
  /// The places of tensors whose shape the files do not say: FSDP's LOCAL_STATE_DICT (RS-16).
  /// Those that stay flat are refused where the adapter needs them.
  Result<void> unflatten() {
    bool any = false;
    for (auto& tensor : found_->tensors) {
      if (!tensor.is_flat) continue;
      any = true;
      const auto elements = tensor.shape[0];
      const auto holds = [&](std::string_view part) {
        return tensor.name.find(part) != std::string::npos;
      };
      // These have one dimension.
      if (holds(".lora_magnitude_vector.") || tensor.name.ends_with(".bias")) {
        tensor.is_flat = false;
        continue;
      }
      const bool is_a = holds(".lora_A.") || holds(".lora_embedding_A.");
      const bool is_b = holds(".lora_B.") || holds(".lora_embedding_B.");
      if (!is_a && !is_b) continue;
      FERRULE_TRY(const auto rank, rank_of(tensor.name));
      if (rank == 0 || elements % rank != 0) {
        return base::corrupt("RS-4", "tensor " + quote(tensor.name) +
                                         ": the files of all ranks "
                                         "have " +
                                         std::to_string(elements) +
                                         " elements of it, not a multiple of its rank " +
                                         std::to_string(rank));
      }
      tensor.shape = is_a ? std::vector<std::uint64_t>{rank, elements / rank}
                          : std::vector<std::uint64_t>{elements / rank, rank};
      tensor.is_flat = false;
    }
    if (any) {
      found_->note_unproved(
          "the files of the ranks (FSDP's LOCAL_STATE_DICT) do not say the shapes of "
          "their tensors: they were put together by the config's ranks, and that the "
          "last rank's file is there is not proved");
    }
    return {};
  }

  /// The rank that the config gives the module of that live key.
  Result<std::uint64_t> rank_of(std::string_view key) const {
    const auto start = key.find(peft::kModelPrefix);
    const auto end = std::min({key.find(".lora_A."), key.find(".lora_B."),
                               key.find(".lora_embedding_A."), key.find(".lora_embedding_B.")});
    const auto from = start == std::string_view::npos ? 0 : start + peft::kModelPrefix.size();
    if (end < from) return std::uint64_t{0};
    FERRULE_TRY(const auto strength, resolve_strength(config_, key.substr(from, end - from)));
    return static_cast<std::uint64_t>(std::max(0.0, strength.rank.value_or(0)));
  }

  /// Gives every tensor its addresses. Prompts are computed from several tensors when they are
  /// saved, so their values are read.
  Result<void> make_state() {
    std::uint64_t total = 0;
    for (const auto& tensor : found_->tensors) {
      const auto bytes = byte_size(tensor.dtype, tensor.shape);
      if (!bytes || !base::add_to(total, *bytes) || total > kMaxAddresses) {
        return base::over_limit("RS-13", "the checkpoint says that its tensors have more than " +
                                             std::to_string(kMaxAddresses) + " bytes");
      }
    }
    FERRULE_TRY(range_, io::ReservedRange::of(total));
    std::uint64_t at = 0;
    for (std::size_t i = 0; i < found_->tensors.size(); ++i) {
      auto& tensor = found_->tensors[i];
      const auto bytes = *byte_size(tensor.dtype, tensor.shape);
      auto content =
          range_.bytes().subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(bytes));
      if (tensor.name.find("prompt_encoder.") != std::string::npos) {
        FERRULE_TRY(content, read_whole(tensor));
      }
      starts_.emplace_back(at, i);
      at += bytes;
      if (auto added = state_.add(tensor.name, tensor.dtype, tensor.shape, content); !added) {
        auto error = std::move(added).error();
        return base::corrupt("RS-11", error.message);
      }
    }
    return {};
  }

  Result<std::span<const std::byte>> read_whole(FoundTensor& tensor) {
    const auto bytes = *byte_size(tensor.dtype, tensor.shape);
    if (bytes > kMaxPrompt) {
      return base::over_limit("RS-13", "tensor " + quote(tensor.name) + " has " +
                                           std::to_string(bytes) + " bytes; the limit is " +
                                           std::to_string(kMaxPrompt));
    }
    FERRULE_CHECK(prove_tensor(tensor));
    auto memory = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(bytes));
    FERRULE_CHECK(gather(*sources_, tensor, 0, *memory));
    prompts_->push_back(memory);
    return std::span<const std::byte>(*memory);
  }

  /// The selected tensor as one that reads the checkpoint.
  Result<TensorStream> stream_of(TensorStream tensor) {
    const auto all = range_.bytes();
    const auto* begin = tensor.bytes.data();
    const bool is_reserved = !tensor.bytes.empty() && begin >= all.data() &&
                             begin + tensor.bytes.size() <= all.data() + all.size();
    if (!is_reserved) {  // A prompt, computed: kept alive by what it was computed from.
      if (!tensor.owner) tensor.owner = prompts_;
      return tensor;
    }
    const auto at = static_cast<std::uint64_t>(begin - all.data());
    auto place = std::upper_bound(
        starts_.begin(), starts_.end(), at,
        [](std::uint64_t offset, const auto& start) { return offset < start.first; });
    --place;
    // Empty tensors start where the next one does.
    const auto index = place->second;
    const auto offset = at - place->first;
    used_.insert(index);
    tensor.bytes = {};
    tensor.read = [sources = sources_, found = found_, index, offset](std::uint64_t from,
                                                                      std::span<std::byte> out) {
      return gather(*sources, found->tensors[index], offset + from, out);
    };
    return tensor;
  }

  Result<void> prove(const container::TensorPlan& tensors) {
    for (const auto index : used_) FERRULE_CHECK(prove_tensor(found_->tensors[index]));
    std::uint64_t total = 0;
    for (const auto& tensor : tensors) {
      total = base::checked_add(total, byte_size(tensor.dtype, tensor.shape).value_or(0))
                  .value_or(~std::uint64_t{0});
    }
    const auto scaled = base::checked_mul(sources_->total_bytes(), kExpansion);
    const auto allowed = base::checked_add(scaled.value_or(~std::uint64_t{0}), kExpansionSpare)
                             .value_or(~std::uint64_t{0});
    if (total <= allowed) return {};
    return base::over_limit("RS-13", "the adapter would have " + std::to_string(total) +
                                         " bytes, out of files of " +
                                         std::to_string(sources_->total_bytes()));
  }

  Result<void> prove_tensor(FoundTensor& tensor) {
    if (tensor.is_absent) {
      return base::corrupt("RS-12", "the checkpoint leaves out the values of " +
                                        quote(tensor.name) + ", which the adapter needs");
    }
    if (tensor.is_flat) {
      return base::unsupported(
          "RS-16", "the files of the ranks (FSDP's LOCAL_STATE_DICT) do not say the shape of " +
                       quote(tensor.name) +
                       ", and the config does not either: save with SHARDED_STATE_DICT");
    }
    if (tensor.locate) {
      const auto locate = std::move(tensor.locate);
      tensor.locate = nullptr;
      FERRULE_CHECK(locate(tensor));
    }
    FERRULE_CHECK(check_cover(tensor, *sources_));
    for (const auto& piece : tensor.pieces) {
      // Others are compared when they are read, while the adapter is written.
      if (piece.record && (!sources_->is_small(*piece.record) || !piece.strides.empty())) {
        FERRULE_CHECK(sources_->check_record(*piece.record));
      }
    }
    return check_replicas(*sources_, tensor);
  }

  std::shared_ptr<Sources> sources_;
  std::shared_ptr<Found> found_;
  const AdapterConfig& config_;
  const std::string& wanted_;
  io::ReservedRange range_;
  std::vector<std::pair<std::uint64_t, std::size_t>> starts_;
  std::shared_ptr<std::vector<std::shared_ptr<std::vector<std::byte>>>> prompts_ =
      std::make_shared<std::vector<std::shared_ptr<std::vector<std::byte>>>>();
  std::set<std::size_t> used_;
  StateDict state_;
};

}  // namespace

Result<Chosen> choose(const std::shared_ptr<Sources>& sources, const std::shared_ptr<Found>& found,
                      const AdapterConfig& config, const std::string& adapter) {
  return Selector(sources, found, config, adapter).choose();
}

}  // namespace ferrule::rescues
