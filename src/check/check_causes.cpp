// SPDX-License-Identifier: Apache-2.0
#include "check/check_causes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "check/module_path.hpp"
#include "check/neighbors.hpp"
#include "ferrule/text.hpp"
#include "model/moved_modules.hpp"
#include "peft/key_path.hpp"
#include "peft/targets.hpp"

namespace ferrule::checks {
namespace {

constexpr std::size_t kMaxSuggestions = 8;  // Each costs a look at every module of the base.
constexpr std::size_t kMaxCandidates = 2000;

constexpr std::array<std::string_view, 4> kWrappers = {"_orig_mod", "_fsdp_wrapped_module",
                                                       "_checkpoint_wrapped_module", "module"};

bool exists(const model::BaseIndex& base, const std::string& path) {
  return base.has_module(path) || base.find(path + ".weight") != nullptr;
}

/// Modules of the base with that core.
std::vector<std::string_view> with_core(const model::BaseIndex& base, std::string_view core) {
  std::vector<std::string_view> out;
  auto at =
      std::lower_bound(base.cores.begin(), base.cores.end(), core,
                       [](const auto& pair, std::string_view word) { return pair.first < word; });
  for (; at != base.cores.end() && at->first == core; ++at) out.push_back(base.modules[at->second]);
  return out;
}

/// "layers.7.mlp" with the layer's number replaced.
std::string with_layer(std::string_view path, std::uint64_t from, std::uint64_t to) {
  std::string out(path);
  const auto text = "." + std::to_string(from) + ".";
  const auto at = out.find(text);
  if (at != std::string::npos) out.replace(at, text.size(), "." + std::to_string(to) + ".");
  return out;
}

std::string nearest(const model::BaseIndex& base, const std::string& path) {
  std::vector<std::string_view> candidates;
  const auto number = peft::layer_number(path);
  for (const auto& module : base.modules) {
    if (number && peft::layer_number(module) != number) continue;
    if (candidates.size() < kMaxCandidates) candidates.push_back(module);
  }
  if (const auto found = suggest(path, candidates)) return std::string(*found);
  for (const auto candidate : candidates) {
    if (last_part(candidate) == last_part(path)) return std::string(candidate);
  }
  return {};
}

bool is_tower(std::string_view path) {
  for (const std::string_view part : {"vision", "visual", "audio", "image"}) {
    if (path.find(part) != std::string_view::npos) return true;
  }
  return false;
}

class Explainer {
 public:
  Explainer(const Adapter& adapter, const model::BaseIndex& base, const MatchResult& match)
      : adapter_(adapter), base_(base), match_(match) {}

  std::vector<Finding> run() {
    std::vector<const ModuleMatch*> unexplained;
    for (const auto& match : match_.modules) {
      if (match.standing == Standing::kNewHead) {
        out_.push_back(about(Severity::kWarning, "BS-18", match.module->path(),
                             "the base has no such module: the class of the task makes it, and the "
                             "adapter brings its weights"));
      } else if (match.standing == Standing::kAbsent && !was_said(*match.module)) {
        if (!explain(match)) unexplained.push_back(&match);
      }
    }
    explain_rest(unexplained);
    return std::move(out_);
  }

 private:
  /// Half an expert's pair has its finding already.
  bool was_said(const AdapterModule& module) const {
    return std::any_of(match_.findings.begin(), match_.findings.end(), [&](const Finding& finding) {
      return finding.severity == Severity::kError && finding.key == module.path();
    });
  }

  void say(std::string_view code, const ModuleMatch& match, std::string message,
           std::string advice) {
    out_.push_back(
        about(Severity::kError, code, match.module->path(), std::move(message), std::move(advice)));
  }

  bool explain(const ModuleMatch& match) {
    return explain_wrapper(match) || explain_tied(match) || explain_rename(match) ||
           explain_prefix(match) || explain_layer(match);
  }

  bool explain_wrapper(const ModuleMatch& match) {
    const auto plain = without_training_wrappers(match.live);
    if (plain == match.live) return false;
    say("BS-6", match,
        "the path holds what torch.compile, FSDP or DDP put into it; the base has " +
            (exists(base_, plain) ? quote(plain) : "no " + quote(plain) + " either"),
        "ferrule fix takes it out");
    return true;
  }

  bool explain_tied(const ModuleMatch& match) {
    const auto* row = base_.names.model_class();
    const auto name = match.live + ".weight";
    const bool head = last_part(match.live) == "lm_head";
    if (row == nullptr && !head) return false;
    bool could_tie = row == nullptr;
    for (const auto entry :
         row == nullptr ? std::vector<std::string_view>() : model::entries(row->tied)) {
      could_tie |= entry.substr(0, entry.find('=')) == name;
    }
    if (!could_tie) return false;
    say("BS-17", match,
        row == nullptr ? "the base has no " + quote(name) +
                             ": it can be tied to the embedding, but there is no "
                             "config.json that says so"
                       : "the base has no " + quote(name) +
                             ", and its config does not tie it to the embedding",
        row == nullptr ? "give the directory with the base's config.json"
                       : "the base is incomplete");
    return true;
  }

  /// PEFT renames only for model types with conversions; transformers' own loader for classes too,
  /// if the config targets the new name.
  std::string loaders_differ(const std::string& new_path) const {
    std::string text = ": PeftModel.from_pretrained does not rename tensors of this model type";
    const auto targets = peft::TargetRule::compile(adapter_.config());
    const auto selected = targets ? targets->selects(new_path) : Result<bool>(false);
    if (selected && *selected) text += ", model.load_adapter of transformers does";
    return text;
  }

  /// The name is the one on disk, and the live model has another.
  bool explain_rename(const ModuleMatch& match) {
    if (base_.names.empty()) return false;
    if (const auto moved = model::moved_module(base_, match.live)) {
      say("BS-4", match,
          "transformers " + std::string(model::transformers_version()) + " calls it " +
              quote(*moved) + ": an older release had one layer where several are now",
          "ferrule fix --base writes the new names");
      return true;
    }
    const auto renamed = base_.names.rename(match.live + ".weight");
    if (!renamed || renamed->name == match.live + ".weight") return false;
    const bool live = base_.find(renamed->name) != nullptr;
    const bool on_disk = base_.was_on_disk(match.live + ".weight");
    if (!live && !on_disk) return false;
    const auto new_path = renamed->name.substr(0, renamed->name.rfind('.'));
    const bool lora = adapter_.config().peft_type() == "LORA";
    const auto why = !lora ? ": PEFT renames only tensors of LORA"
                     : base_.names.renames_adapters()
                         ? ": PEFT renames the tensors, but target_modules does not name the new "
                           "module"
                         : loaders_differ(new_path);
    say("BS-4", match,
        "transformers " + std::string(model::transformers_version()) + " calls it " +
            quote(new_path) + (on_disk ? " (the base's file keeps the older name)" : "") + why,
        "ferrule fix --base writes the new names");
    return true;
  }

  bool explain_prefix(const ModuleMatch& match) {
    const auto other = other_prefix(base_, match.live);
    if (!other) return false;
    const auto core = model::path_core(match.live);
    const auto ours = std::string_view(match.live).substr(0, match.live.size() - core.size());
    const auto theirs = std::string_view(*other).substr(0, other->size() - core.size());
    say("BS-3", match,
        "the base has it as " + quote(*other) + ": the adapter's prefix is " + quote(ours) +
            ", the base's " + quote(theirs) +
            (is_wrapper(ours) != is_wrapper(theirs) ? " (a vision-language model's wrapper)" : ""),
        "ferrule fix --base gives it the base's prefix");
    return true;
  }

  static bool is_wrapper(std::string_view prefix) {
    for (const std::string_view part :
         {"language_model", "text_model", "vision", "visual", "llm", "thinker"}) {
      if (prefix.find(part) != std::string_view::npos) return true;
    }
    return false;
  }

  bool explain_layer(const ModuleMatch& match) {
    const auto number = peft::layer_number(match.live);
    if (!number || *number == 0) return false;
    const auto first = with_layer(match.live, *number, 0);
    const auto before = with_layer(match.live, *number, *number - 1);
    if (!exists(base_, first) && !exists(base_, before)) return false;
    std::uint64_t layers = 1;
    while (layers < *number && exists(base_, with_layer(match.live, *number, layers))) ++layers;
    if (layers == *number && exists(base_, before)) layers = *number;
    say("BS-8", match,
        "the base has " + std::to_string(layers) + " layers with such a module, this is of layer " +
            std::to_string(*number),
        "it was trained on a model of another size");
    return true;
  }

  /// True if the base has other layers where the module should be.
  bool is_at_home(const ModuleMatch& match) const {
    const auto dot = match.live.rfind('.');
    return dot != std::string::npos && !base_.below(match.live.substr(0, dot)).empty();
  }

  /// BS-7 once, if nothing of the adapter is near anything of the base.
  void explain_architecture(const std::vector<const ModuleMatch*>& unexplained) {
    const bool none = !unexplained.empty() && unexplained.size() == match_.modules.size() &&
                      std::none_of(unexplained.begin(), unexplained.end(),
                                   [&](const ModuleMatch* match) { return is_at_home(*match); });
    if (!none) return;
    const auto trained = adapter_class(adapter_.config());
    const auto name = adapter_.config().base_model_name_or_path().value_or("");
    out_.push_back(
        about(Severity::kError, "BS-7", {},
              "none of the " + std::to_string(unexplained.size()) + " modules is in the base" +
                  (base_.class_name.empty() ? "" : ", which is a " + quote(base_.class_name)) +
                  ": the adapter was trained on another architecture" +
                  (trained.empty() ? "" : " (" + quote(trained) + ")") +
                  (name.empty() ? "" : "; its config names " + quote(name)),
              "give the base that it was trained on"));
  }

  /// "layers.#.self_attn.q_proj": modules that differ in numbers alone have one cause.
  static std::string general(std::string_view path) {
    std::string out;
    for (const auto part : peft::split(path)) {
      const bool number =
          std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
      out += (out.empty() ? "" : ".") + (number ? std::string("#") : std::string(part));
    }
    return out;
  }

  void explain_rest(const std::vector<const ModuleMatch*>& unexplained) {
    explain_architecture(unexplained);
    std::map<std::string, std::vector<const ModuleMatch*>> groups;
    for (const auto* match : unexplained) groups[general(match->live)].push_back(match);
    std::size_t looked = 0;
    for (const auto& [path, group] : groups) {
      const auto& match = *group.front();
      auto text = "the base has no module " + quote(match.live);
      if (const auto neighbor = find_neighbor(base_, match.live)) {
        text += "; the nearest is " + quote(neighbor->path) + ", " + neighbor->message;
      } else if (looked++ < kMaxSuggestions) {
        const auto near = nearest(base_, match.live);
        if (!near.empty()) text += "; the nearest is " + quote(near);
      }
      if (group.size() > 1) {
        text += " (" + std::to_string(group.size()) + " modules like it)";
      }
      say("BS-1", match, std::move(text), {});
    }
  }

  const Adapter& adapter_;
  const model::BaseIndex& base_;
  const MatchResult& match_;
  std::vector<Finding> out_;
};

}  // namespace

std::optional<std::string> other_prefix(const model::BaseIndex& base, std::string_view path) {
  auto found = with_core(base, model::path_core(path));
  // Towers for pictures and sound have layers of the same names as the language model.
  if (found.size() > 1 && !is_tower(path)) std::erase_if(found, is_tower);
  if (found.size() != 1 || found.front() == path) return std::nullopt;
  return std::string(found.front());
}

std::string without_training_wrappers(std::string_view path) {
  std::string out;
  for (const auto part : peft::split(path)) {
    const bool first = out.empty();
    const bool wrapper = std::find(kWrappers.begin(), kWrappers.end(), part) != kWrappers.end();
    // A module may well be called "module"; DDP's is in front.
    if (wrapper && (part != "module" || first)) continue;
    if (!first) out += '.';
    out += part;
  }
  return out;
}

std::vector<Finding> explain_absent(const Adapter& adapter, const model::BaseIndex& base,
                                    const MatchResult& match) {
  return Explainer(adapter, base, match).run();
}

}  // namespace ferrule::checks
