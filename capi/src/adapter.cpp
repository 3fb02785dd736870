// SPDX-License-Identifier: Apache-2.0
#include "ferrule/adapter.hpp"

#include <algorithm>
#include <cstring>

#include "ferrule/content_id.hpp"
#include "ferrule/file_kind.hpp"
#include "ferrule/report_json.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/text.hpp"
#include "ferrule/torch_file.hpp"
#include "objects.hpp"

using namespace ferrule;
using capi::AdapterObject;
using capi::guarded;
using capi::held_by;
using capi::needed;

namespace {

Result<std::unique_ptr<TensorSource>> source_of(std::span<const std::byte> bytes,
                                                const OpenOptions& options) {
  const auto kind = recognize(bytes, bytes.size());
  if (kind == FileKind::kTorchZip || kind == FileKind::kTorchLegacy) {
    auto file = TorchFile::from_bytes(bytes, options);
    if (!file) return file.error();
    return std::unique_ptr<TensorSource>(std::make_unique<TorchFile>(*std::move(file)));
  }
  auto file = SafetensorsFile::from_bytes(bytes, options.limits);
  if (!file) return file.error();
  return std::unique_ptr<TensorSource>(std::make_unique<SafetensorsFile>(*std::move(file)));
}

Metadata metadata_of(const TensorSource& source) {
  const auto* file = dynamic_cast<const SafetensorsFile*>(&source);
  return file == nullptr ? Metadata() : file->metadata();
}

Result<std::unique_ptr<AdapterObject>> open_memory(std::string_view config_text,
                                                   std::span<const std::byte> weights,
                                                   const OpenOptions& options) {
  if (config_text.size() > options.limits.text_bytes) {
    return Error{.code = ErrorCode::kLimitExceeded,
                 .message = "the config has " + std::to_string(config_text.size()) +
                            " bytes, more than the limit of " +
                            std::to_string(options.limits.text_bytes)};
  }
  auto config = AdapterConfig::parse(config_text);
  if (!config) return config.error();
  std::unique_ptr<std::byte[]> held;
  if (options.backing == Backing::kCopy && !weights.empty()) {
    held.reset(new std::byte[weights.size()]);  // Uninitialized on purpose.
    std::memcpy(held.get(), weights.data(), weights.size());
    weights = {held.get(), weights.size()};
  }
  auto source = source_of(weights, options);
  if (!source) return source.error();
  AdapterOrigin origin{.metadata = metadata_of(**source), .file_bytes = weights.size()};
  auto adapter = Adapter::make(*std::move(config), *std::move(source), std::move(origin));
  if (!adapter) return adapter.error();
  return std::make_unique<AdapterObject>(*std::move(adapter), std::move(held));
}

}  // namespace

extern "C" {

ferrule_status ferrule_adapter_open(const char* directory, const ferrule_open_options* options,
                                    ferrule_adapter* adapter, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(directory, "directory"));
    FERRULE_C_CHECK(needed(adapter, "adapter"));
    FERRULE_C_TRY(const auto wanted, capi::open_options(options));
    FERRULE_C_TRY(auto opened, Adapter::open(directory, wanted));
    return capi::hand_out(std::make_unique<AdapterObject>(std::move(opened), nullptr), adapter);
  });
}

ferrule_status ferrule_adapter_open_memory(const char* config, size_t config_size,
                                           const void* weights, size_t weights_size,
                                           const ferrule_open_options* options,
                                           ferrule_adapter* adapter, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(config, "config"));
    FERRULE_C_CHECK(needed(weights, "weights"));
    FERRULE_C_CHECK(needed(adapter, "adapter"));
    FERRULE_C_TRY(const auto wanted, capi::open_options(options));
    FERRULE_C_TRY(auto opened,
                  open_memory({config, config_size},
                              {static_cast<const std::byte*>(weights), weights_size}, wanted));
    if (auto first = opened->adapter.first_error(); first && !wanted.allow_errors) return *first;
    return capi::hand_out(std::move(opened), adapter);
  });
}

ferrule_status ferrule_adapter_close(ferrule_adapter adapter) {
  return capi::close<AdapterObject>(adapter);
}

ferrule_status ferrule_adapter_describe(ferrule_adapter adapter, ferrule_adapter_info* info,
                                        ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_TRY(const auto* held, held_by<AdapterObject>(adapter));
    const auto& opened = held->adapter;
    ferrule_adapter_info value = {};
    value.has_errors = opened.has_errors() ? 1 : 0;
    value.tensor_count = opened.tensors().size();
    value.module_count = opened.modules().size();
    value.finding_count = opened.findings().size();
    value.file_bytes = opened.file_bytes();
    value.peft_type = capi::text_of(opened.config().peft_type());
    value.directory = capi::text_of(held->directory);
    value.weights_file = capi::text_of(held->weights_file);
    return capi::give("ferrule_adapter_info", value, info);
  });
}

ferrule_status ferrule_adapter_config(ferrule_adapter adapter, ferrule_text* json,
                                      ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(json, "json"));
    FERRULE_C_TRY(auto* held, held_by<AdapterObject>(adapter));
    *json = capi::text_of(held->config.get([&] { return held->adapter.config().to_json(); }));
    return {};
  });
}

ferrule_status ferrule_adapter_findings(ferrule_adapter adapter, ferrule_text* json,
                                        ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(json, "json"));
    FERRULE_C_TRY(auto* held, held_by<AdapterObject>(adapter));
    *json =
        capi::text_of(held->findings.get([&] { return to_json(held->adapter.findings()).dump(); }));
    return {};
  });
}

ferrule_status ferrule_adapter_finding(ferrule_adapter adapter, uint64_t index,
                                       ferrule_finding* finding, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_TRY(const auto* held, held_by<AdapterObject>(adapter));
    return capi::give_finding(held->adapter.findings(), index, finding);
  });
}

ferrule_status ferrule_adapter_content_id(ferrule_adapter adapter, uint32_t threads, char id[65],
                                          ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(id, "id"));
    FERRULE_C_TRY(const auto* held, held_by<AdapterObject>(adapter));
    const auto text = content_id(held->adapter, {.threads = threads});
    std::memcpy(id, text.c_str(), std::min<std::size_t>(text.size() + 1, 65));
    return {};
  });
}

ferrule_status ferrule_adapter_live_key(ferrule_adapter adapter, const char* key,
                                        const char* adapter_name, char* buffer, size_t capacity,
                                        size_t* size, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(key, "key"));
    FERRULE_C_CHECK(needed(adapter_name, "adapter_name"));
    FERRULE_C_CHECK(needed(size, "size"));
    if (capacity != 0) FERRULE_C_CHECK(needed(buffer, "buffer"));
    FERRULE_C_TRY(const auto* held, held_by<AdapterObject>(adapter));
    const auto live = held->adapter.live_key(key, adapter_name);
    if (!live) return capi::missing("no live key for " + quote(key));
    *size = live->size();
    if (live->size() >= capacity) {
      return Error{.code = ErrorCode::kLimitExceeded,
                   .message = "the buffer has " + std::to_string(capacity) + " bytes, needed are " +
                              std::to_string(live->size() + 1)};
    }
    std::memcpy(buffer, live->c_str(), live->size() + 1);
    return {};
  });
}

}  // extern "C"
