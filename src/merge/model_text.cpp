// SPDX-License-Identifier: Apache-2.0
#include "merge/model_text.hpp"

#include <algorithm>

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

std::string text_of(const Json& json) { return json.dump_python(2, false) + "\n"; }

}  // namespace

Result<std::string> changed_config(std::string_view text, const ConfigChange& change) {
  FERRULE_TRY(auto json, parse(text));
  if (change.dtype) {
    const auto name = std::string(torch_name(*change.dtype));
    const bool old_key = json.find("torch_dtype") != nullptr;
    if (old_key) json.set("torch_dtype", Json(name));
    if (!old_key || json.find("dtype") != nullptr) json.set("dtype", Json(name));
  }
  if (change.unties) {
    json.set("tie_word_embeddings", Json(false));
    auto* inner = json.find("text_config");
    if (inner != nullptr && inner->find("tie_word_embeddings") != nullptr) {
      inner->set("tie_word_embeddings", Json(false));
    }
  }
  if (change.unquantizes) json.erase("quantization_config");
  return text_of(json);
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
