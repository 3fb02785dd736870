// SPDX-License-Identifier: Apache-2.0
#include "hub/files/push_choice.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "container/checkpoint_folder.hpp"
#include "ferrule/file_names.hpp"
#include "hub/files/names.hpp"

namespace ferrule::hub {
namespace {

constexpr std::string_view kTemporary = "temporary";
constexpr std::string_view kExcluded = "excluded";
constexpr std::string_view kHidden = "hidden";
constexpr std::string_view kTraining = "training state";
constexpr std::string_view kOther = "not part of an adapter";

/// A text or JSON file up to this size next to an adapter is taken for configuration.
constexpr std::uint64_t kMaxConfiguration = std::uint64_t{1} << 20;

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool glob_matches(std::string_view glob, std::string_view text) {
  std::size_t at = 0;
  std::size_t in = 0;
  std::size_t star = std::string_view::npos;
  std::size_t behind_star = 0;
  while (in < text.size()) {
    if (at < glob.size() && glob[at] == '*') {
      star = at++;
      behind_star = in;
    } else if (at < glob.size() && (glob[at] == '?' || glob[at] == text[in])) {
      ++at;
      ++in;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      in = ++behind_star;
    } else {
      return false;
    }
  }
  while (at < glob.size() && glob[at] == '*') ++at;
  return at == glob.size();
}

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::size_t start = 0; start <= path.size();) {
    const auto end = std::min(path.find('/', start), path.size());
    if (end > start) parts.push_back(path.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

bool is_hidden(std::string_view part) { return part.starts_with('.'); }

bool any_hidden(std::string_view path) {
  const auto parts = parts_of(path);
  return std::any_of(parts.begin(), parts.end(), is_hidden);
}

/// What trainers, accelerate, DeepSpeed and FSDP keep to continue a training.
bool is_state_file(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames = {
      "trainer_state.json", "optimizer.safetensors", "latest",
      "latest_universal",   "zero_to_fp32.py",       "scaler.bin",
      "profiler_state"};
  return container::is_training_state(name) ||
         std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         name.starts_with("pytorch_model_fsdp") || name.starts_with("optimizer_") ||
         name.ends_with(".distcp") || name.find("tfevents") != std::string_view::npos;
}

bool is_state_folder(std::string_view name) {
  return name.starts_with("global_step") || name.starts_with("pytorch_model_fsdp_") ||
         name.starts_with("optimizer_");
}

bool is_adapter_file(std::string_view name) {
  return name == kConfigFile || name == kSafetensorsFile || name == kBinFile || name == kCardFile ||
         (name.starts_with("adapter_model") &&
          (name.ends_with(".safetensors") || name.ends_with(".bin") ||
           name.ends_with(".index.json")));
}

/// Of any size: vocabularies have many megabytes.
bool is_tokenizer_file(std::string_view name) {
  constexpr std::array<std::string_view, 12> kNames = {
      "tokenizer.json",     "tokenizer_config.json",
      "vocab.json",         "vocab.txt",
      "merges.txt",         "special_tokens_map.json",
      "added_tokens.json",  "chat_template.jinja",
      "chat_template.json", "tekken.json",
      "normalizer.json",    "preprocessor_config.json"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         name.starts_with("tokenizer.model") || name.ends_with(".model") ||
         name.ends_with(".tiktoken");
}

bool is_configuration(std::string_view name) {
  constexpr std::array<std::string_view, 8> kEndings = {".json", ".jinja", ".yaml", ".yml",
                                                        ".toml", ".txt",   ".md",   ".bib"};
  constexpr std::array<std::string_view, 4> kNames = {"LICENSE", "LICENCE", "NOTICE", "COPYING"};
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); }) ||
         std::any_of(kNames.begin(), kNames.end(),
                     [&](std::string_view word) { return name.starts_with(word); });
}

bool is_module_weights(std::string_view name) {
  return name == "model.safetensors" || name == "pytorch_model.bin";
}

/// "1_Dense".
bool is_module_name(std::string_view name) {
  const auto digits = name.find_first_not_of("0123456789");
  return digits != 0 && digits != std::string_view::npos && name[digits] == '_';
}

}  // namespace

PushFolder describe_push_folder(std::string prefix, const std::vector<std::string>& files) {
  PushFolder folder;
  folder.has_adapter = prefix.empty() || has(files, kConfigFile) || has(files, kSafetensorsFile) ||
                       has(files, kBinFile);
  const auto parts = parts_of(prefix);
  folder.is_module = !parts.empty() && is_module_name(parts.back()) && has(files, "config.json");
  folder.prefix = std::move(prefix);
  return folder;
}

bool matches_path(std::string_view glob, std::string_view path) {
  if (glob.ends_with('/')) return glob_matches(std::string(glob) + "*", path);
  if (glob_matches(glob, path)) return true;
  if (glob.find('/') != std::string_view::npos) return glob_matches(std::string(glob) + "/*", path);
  const auto parts = parts_of(path);
  return std::any_of(parts.begin(), parts.end(),
                     [&](std::string_view part) { return glob_matches(glob, part); });
}

bool PushChoice::is_included(const std::string& path) const {
  return std::any_of(options_.include.begin(), options_.include.end(),
                     [&](const std::string& glob) { return matches_path(glob, path); });
}

/// A hidden file goes only if a pattern writes out the dot of each hidden part of its path.
bool PushChoice::is_named(const std::string& path) const {
  const auto parts = parts_of(path);
  return std::any_of(options_.include.begin(), options_.include.end(), [&](const auto& glob) {
    const auto words = parts_of(glob);
    if (words.size() > parts.size()) return false;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      // One word is the name of the file; several are the path from its beginning.
      const auto at = words.size() == 1 ? i + 1 == parts.size() ? 0 : words.size() : i;
      const bool has_word = at < words.size();
      if (is_hidden(parts[i]) && !(has_word && is_hidden(words[at]))) return false;
      if (words.size() > 1 && has_word && !glob_matches(words[at], parts[i])) return false;
    }
    return words.size() > 1 || (!words.empty() && glob_matches(words[0], parts.back()));
  });
}

std::string_view PushChoice::why_not(const PushFolder& folder, const std::string& name,
                                     std::uint64_t size) const {
  const auto path = folder.prefix + name;
  if (is_left_out(name)) return kTemporary;
  const bool excluded =
      std::any_of(options_.exclude.begin(), options_.exclude.end(),
                  [&](const std::string& glob) { return matches_path(glob, path); });
  if (excluded) return kExcluded;
  if (any_hidden(path)) return is_named(path) ? std::string_view() : kHidden;
  if (options_.all || is_included(path)) return {};
  const auto parts = parts_of(folder.prefix);
  if (is_state_file(name) || std::any_of(parts.begin(), parts.end(), is_state_folder))
    return kTraining;
  if (is_tokenizer_file(name)) return {};
  if (folder.has_adapter && is_adapter_file(name)) return {};
  if (folder.is_module && is_module_weights(name)) return {};
  const bool is_small = size <= kMaxConfiguration && is_configuration(name);
  return (folder.has_adapter || folder.is_module) && is_small ? std::string_view() : kOther;
}

std::string_view PushChoice::why_not_folder(const std::string& path) const {
  const auto name = path.substr(path.rfind('/') + 1);
  if (is_left_out(name)) return kTemporary;
  const bool may_be_named =
      std::any_of(options_.include.begin(), options_.include.end(), [&](const std::string& glob) {
        const auto words = parts_of(glob);
        return words.size() > parts_of(path).size() && is_hidden(words[parts_of(path).size() - 1]);
      });
  return is_hidden(name) && !may_be_named ? kHidden : std::string_view();
}

}  // namespace ferrule::hub
