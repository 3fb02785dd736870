// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "edit/retarget.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/fix.hpp"
#include "ferrule/tensor_view.hpp"
#include "model/base_model.hpp"

namespace ferrule::edit {

class ExpertFuser;

/// The keys of an adapter on their way to what they should be. Views stay those of the source.
class KeyFixer {
 public:
  KeyFixer(AdapterConfig config, std::span<const NamedTensor> tensors);

  /// Old types, training wrappers, the prefix, adapter names, ignored tensors.
  void fix_all();

  /// Rows and columns of zeros past the config's rank (KY-13).
  void cut_padding();

  /// Prefixes of wrappers as the base has them, where all modules that it lacks agree on one
  /// change.
  void follow_base(const model::BaseIndex& base);

  /// Names of an older transformers as the live base has them, config and all, or nothing.
  void follow_names(const model::BaseIndex& base);

  /// Single experts as the factors of the base's fused parameters, or nothing.
  void fuse_experts(const model::BaseIndex& base);

  /// Fields that PEFT refuses on fused parameters and that mean nothing after training.
  void drop_refused_fields(const model::BaseIndex& base);

  struct Entry {
    std::string key;
    TensorView tensor;
    /// Keeps a tensor alive that was made here; null for those of the source.
    std::shared_ptr<const void> owner = nullptr;
  };
  const std::vector<Entry>& entries() const noexcept { return entries_; }
  const AdapterConfig& config() const noexcept { return config_; }
  /// True where keys or the config differ from what was given.
  bool keys_changed() const noexcept { return keys_changed_; }
  bool config_changed() const noexcept { return config_changed_; }
  std::vector<FixedThing> take_fixed();
  std::vector<Finding> take_remaining() { return std::move(left_); }

 private:
  void rename(Entry& entry, std::string key, std::string_view what);
  void fix_old_type();
  void fix_wrappers();
  void fix_prefix();
  void fix_adapter_names();
  void drop_ignored();
  void refuse_collisions();
  void put_fused(const model::BaseIndex& base, const ExpertFuser& fuser, const Moves& adapted,
                 const std::set<std::string>& gone);
  bool move_targets(std::string_view from, std::string_view to,
                    const std::map<std::string, std::string>& moved);

  AdapterConfig config_;
  std::vector<Entry> entries_;
  std::map<std::string, std::pair<std::uint64_t, std::string>, std::less<>> fixed_;
  std::vector<Finding> left_;
  bool keys_changed_ = false;
  bool config_changed_ = false;
};

}  // namespace ferrule::edit
