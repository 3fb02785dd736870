// SPDX-License-Identifier: Apache-2.0
#include "merge/model_text.hpp"

#include <algorithm>
#include <array>

#include "base/errors.hpp"
#include "base/try.hpp"
#include "ferrule/json.hpp"

namespace ferrule::merging {
namespace {

std::string_view torch_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBF16:
      return "bfloat16";
    case Dtype::kF16:
      return "float16";
    case Dtype::kF64:
      return "float64";
    default:
      return "float32";
  }
}

Result<Json> parse(std::string_view text) {
  FERRULE_TRY(auto json, Json::parse(text, {.depth = 128, .allow_nan = true}));
  if (!json.is_object()) return base::corrupt("MG-4", "expected a JSON object");
  return json;
}

std::string_view model_type_of(const Json& json) {
  const auto* type = json.find("model_type");
  return type == nullptr || type->if_string() == nullptr ? std::string_view()
                                                         : std::string_view(*type->if_string());
}

/// Sets the field to false, and keeps what transformers derives from it: T5 and its relatives scale
/// the decoder's output by default only if the field is not false.
void untie(Json& json) {
  const auto type = model_type_of(json);
  if (type == "switch_transformers") return;  // It would scale no longer, and has no other field.
  if (type == "t5" || type == "longt5" || type == "pop2piano") {
    const auto* old = json.find("tie_word_embeddings");
    const bool scaled = old == nullptr || old->if_bool() == nullptr || *old->if_bool();
    if (json.find("scale_decoder_outputs") == nullptr) {
      json.set("scale_decoder_outputs", Json(scaled));
    }
  }
  json.set("tie_word_embeddings", Json(false));
  auto* inner = json.find("text_config");
  if (inner != nullptr && inner->find("tie_word_embeddings") != nullptr) {
    inner->set("tie_word_embeddings", Json(false));
  }
}

std::string text_of(const Json& json) { return json.dump_python(2, false) + "\n"; }

constexpr std::array<std::string_view, 7> kForced = {
    "t5", "mt5", "umt5", "longt5", "udop", "pop2piano", "switch_transformers"};

}  // namespace

bool ties_whatever_the_config(std::string_view model_type) noexcept {
  return std::find(kForced.begin(), kForced.end(), model_type) != kForced.end();
}

Result<std::string> changed_config(std::string_view text, const ConfigChange& change) {
  FERRULE_TRY(auto json, parse(text));
  if (change.dtype) {
    const auto name = std::string(torch_name(*change.dtype));
    const bool old_key = json.find("torch_dtype") != nullptr;
    if (old_key) json.set("torch_dtype", Json(name));
    if (!old_key || json.find("dtype") != nullptr) json.set("dtype", Json(name));
  }
  if (change.unties) untie(json);
  if (change.unquantizes) {
    auto* inner = json.find("text_config");
    for (const auto* field : {"quantization_config", "compression_config"}) {
      json.erase(field);
      if (inner != nullptr && inner->if_object() != nullptr) inner->erase(field);
    }
  }
  return text_of(json);
}

Result<std::string> new_index(std::string_view text,
                              const std::map<std::string, std::string>& tensors,
                              std::uint64_t total_bytes) {
  FERRULE_TRY(auto json, parse(text));
  Json::Object map;
  for (const auto& [name, file] : tensors) map.emplace_back(name, Json(file));
  json.set("weight_map", Json(std::move(map)));
  return changed_index(json.dump(), {}, total_bytes);
}

Result<std::string> changed_index(std::string_view text,
                                  const std::map<std::string, std::string>& added,
                                  std::uint64_t total_bytes) {
  FERRULE_TRY(auto json, parse(text));
  if (json.find("metadata") == nullptr) json.set("metadata", Json(Json::Object{}));
  json.find("metadata")->set("total_size", Json(total_bytes));
  auto* map = json.find("weight_map");
  if (map == nullptr || map->if_object() == nullptr) {
    return base::corrupt("ST-20", "the index has no weight_map");
  }
  for (const auto& [name, file] : added) map->set(name, Json(file));
  std::sort(map->if_object()->begin(), map->if_object()->end(),
            [](const Json::Member& a, const Json::Member& b) { return a.first < b.first; });
  return text_of(json);
}

}  // namespace ferrule::merging
