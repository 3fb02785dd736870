// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ferrule/report_json.hpp"
#include "ferrule/save_pretrained.hpp"
#include "ferrule/text.hpp"
#include "numbers.hpp"
#include "objects.hpp"

using namespace ferrule;
using capi::guarded;
using capi::held_by;
using capi::needed;
using capi::ReportObject;
using capi::WriterObject;

namespace {

/// No program has tensors of more dimensions; a larger number is a mistake in the call.
constexpr std::uint64_t kMaxRank = 1024;

constexpr std::uint32_t kKnownFlags =
    FERRULE_SAVE_FAST | FERRULE_SAVE_FULL | FERRULE_SAVE_BIN | FERRULE_SAVE_NO_CARD;

Result<StoredDtype> stored_dtype(std::uint32_t number) {
  switch (number) {
    case 0:
      return StoredDtype::kKeep;
    case FERRULE_F32:
      return StoredDtype::kF32;
    case FERRULE_F16:
      return StoredDtype::kF16;
    case FERRULE_BF16:
      return StoredDtype::kBF16;
    default:
      return capi::invalid("ferrule_save_options.dtype is " + std::to_string(number) +
                           ", expected FERRULE_F32, FERRULE_F16, FERRULE_BF16 or 0");
  }
}

Result<SaveOptions> save_options(const ferrule_save_options* given) {
  const auto known = capi::taken("ferrule_save_options", given);
  if (!known) return known.error();
  const auto flags = known->flags;
  if ((flags & ~kKnownFlags) != 0) {
    return capi::invalid("ferrule_save_options.flags has a bit that is not known: " +
                         std::to_string(flags));
  }
  if ((flags & FERRULE_SAVE_FAST) != 0 && (flags & FERRULE_SAVE_FULL) != 0) {
    return capi::invalid("FERRULE_SAVE_FAST and FERRULE_SAVE_FULL exclude each other");
  }
  const auto dtype = stored_dtype(known->dtype);
  if (!dtype) return dtype.error();
  SaveOptions options;
  options.dtype = *dtype;
  if ((flags & FERRULE_SAVE_FAST) != 0) options.durability = Durability::kFast;
  if ((flags & FERRULE_SAVE_FULL) != 0) options.durability = Durability::kFull;
  if ((flags & FERRULE_SAVE_BIN) != 0) options.format = WeightsFormat::kBin;
  if ((flags & FERRULE_SAVE_NO_CARD) != 0) options.card = WriteCard::kNo;
  if (known->threads != 0) options.threads = known->threads;
  return options;
}

}  // namespace

extern "C" {

ferrule_status ferrule_writer_open(ferrule_writer* writer, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(writer, "writer"));
    return capi::hand_out(std::make_unique<WriterObject>(), writer);
  });
}

ferrule_status ferrule_writer_close(ferrule_writer writer) {
  return capi::close<WriterObject>(writer);
}

ferrule_status ferrule_writer_add_tensor(ferrule_writer writer, const char* name, uint32_t dtype,
                                         const uint64_t* shape, uint64_t rank, const void* data,
                                         uint64_t size, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(name, "name"));
    if (rank > kMaxRank) return capi::invalid("a rank of " + std::to_string(rank));
    if (rank != 0) FERRULE_C_CHECK(needed(shape, "shape"));
    if (size != 0) FERRULE_C_CHECK(needed(data, "data"));
    FERRULE_C_TRY(auto* held, held_by<WriterObject>(writer));
    const auto known = capi::dtype_of(dtype);
    if (!known) return capi::invalid("no dtype has the number " + std::to_string(dtype));
    return held->state.add(name, *known, {shape, static_cast<std::size_t>(rank)},
                           {static_cast<const std::byte*>(data), static_cast<std::size_t>(size)});
  });
}

ferrule_status ferrule_writer_add_adapter(ferrule_writer writer, const char* name,
                                          const char* config, size_t config_size,
                                          ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(name, "name"));
    FERRULE_C_CHECK(needed(config, "config"));
    FERRULE_C_TRY(auto* held, held_by<WriterObject>(writer));
    const auto same = [&](const NamedConfig& known) { return known.name == name; };
    if (std::any_of(held->adapters.begin(), held->adapters.end(), same)) {
      return capi::invalid("the adapter " + quote(name) + " was added before");
    }
    FERRULE_C_TRY(auto parsed, AdapterConfig::parse({config, config_size}));
    held->adapters.push_back({.name = name, .config = std::move(parsed)});
    return {};
  });
}

ferrule_status ferrule_writer_save(ferrule_writer writer, const char* directory,
                                   const ferrule_save_options* options, ferrule_report* report,
                                   ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(directory, "directory"));
    FERRULE_C_TRY(const auto* held, held_by<WriterObject>(writer));
    FERRULE_C_TRY(const auto wanted, save_options(options));
    FERRULE_C_TRY(auto saved, save(held->state, held->adapters, directory, wanted));
    if (report == nullptr) return {};
    auto object = capi::report_of(std::move(saved), [](const SaveReport& written) {
      return report_document(to_json(written)).dump();
    });
    object->good = true;
    object->verdict = "good";
    return capi::hand_out(std::move(object), report);
  });
}

}  // extern "C"
