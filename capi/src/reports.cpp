// SPDX-License-Identifier: Apache-2.0
#include "ferrule/check.hpp"
#include "ferrule/report_json.hpp"
#include "ferrule/verify.hpp"
#include "objects.hpp"

using namespace ferrule;
using capi::AdapterObject;
using capi::BaseObject;
using capi::guarded;
using capi::held_by;
using capi::needed;
using capi::ReportObject;

namespace {

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    if (comma > 0) parts.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return parts;
}

Result<VerifyOptions> verify_options(const ferrule_verify_options* given) {
  const auto known = capi::taken("ferrule_verify_options", given);
  if (!known) return known.error();
  const auto open =
      known->open.struct_size == 0 ? capi::open_options(nullptr) : capi::open_options(&known->open);
  if (!open) return open.error();
  VerifyOptions options;
  options.open = *open;
  options.values = known->values != 0;
  if (known->id != nullptr) options.id = known->id;
  if (known->threads != 0) options.threads = known->threads;
  return options;
}

}  // namespace

extern "C" {

ferrule_status ferrule_verify(const char* path, const ferrule_verify_options* options,
                              ferrule_report* report, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(path, "path"));
    FERRULE_C_CHECK(needed(report, "report"));
    FERRULE_C_TRY(const auto wanted, verify_options(options));
    auto found = verify(path, wanted);
    if (found.system_error && found.findings.empty()) return *found.system_error;
    const bool good = found.good();
    auto object =
        capi::report_of(std::move(found), [at = std::string(path)](const VerifyReport& verified) {
          return report_document(to_json(verified, at)).dump();
        });
    object->good = good;
    object->verdict = good ? "good" : "bad";
    return capi::hand_out(std::move(object), report);
  });
}

ferrule_status ferrule_check(ferrule_adapter adapter, ferrule_base base,
                             const ferrule_check_options* options, ferrule_report* report,
                             ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(report, "report"));
    FERRULE_C_TRY(const auto* of, held_by<AdapterObject>(adapter));
    FERRULE_C_TRY(const auto* on, held_by<BaseObject>(base));
    FERRULE_C_TRY(const auto wanted, capi::taken("ferrule_check_options", options));
    CheckOptions checking;
    checking.values = wanted.values != 0;
    checking.allow_partial = wanted.allow_partial != 0;
    if (wanted.engines != nullptr) checking.engines = split(wanted.engines);
    FERRULE_C_TRY(auto found, check(of->adapter, on->base, checking));
    const bool good = found.good();
    const auto verdict = verdict_name(found.verdict);
    const auto matched = found.matched;
    const auto total = found.total;
    auto object = capi::report_of(std::move(found), [](const CheckReport& checked) {
      return report_document(to_json(checked)).dump();
    });
    object->good = good;
    object->verdict = verdict;
    object->matched = matched;
    object->total = total;
    return capi::hand_out(std::move(object), report);
  });
}

ferrule_status ferrule_report_describe(ferrule_report report, ferrule_report_info* info,
                                       ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_TRY(const auto* held, held_by<ReportObject>(report));
    ferrule_report_info value = {};
    value.good = held->good ? 1 : 0;
    value.finding_count = held->findings.size();
    value.verdict = capi::text_of(held->verdict);
    value.matched = held->matched;
    value.total = held->total;
    return capi::give("ferrule_report_info", value, info);
  });
}

ferrule_status ferrule_report_json(ferrule_report report, ferrule_text* json,
                                   ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_CHECK(needed(json, "json"));
    FERRULE_C_TRY(auto* held, held_by<ReportObject>(report));
    *json = capi::text_of(held->json.get([&] { return held->make_json(); }));
    return {};
  });
}

ferrule_status ferrule_report_finding(ferrule_report report, uint64_t index,
                                      ferrule_finding* finding, ferrule_error* error) {
  return guarded(error, [&]() -> Result<void> {
    FERRULE_C_TRY(const auto* held, held_by<ReportObject>(report));
    return capi::give_finding(held->findings, index, finding);
  });
}

ferrule_status ferrule_report_close(ferrule_report report) {
  return capi::close<ReportObject>(report);
}

}  // extern "C"
