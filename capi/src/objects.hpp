// SPDX-License-Identifier: Apache-2.0
// What handles name.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "boundary.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/base_model.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/selection.hpp"
#include "ferrule/tensor_source.hpp"
#include "handle_table.hpp"

namespace ferrule::capi {

/// A text that is made when it is first asked for, by any thread.
class LazyText {
 public:
  template <typename Make>
  std::string_view get(Make&& make) {
    std::call_once(made_, [&] { text_ = make(); });
    return text_;
  }

 private:
  std::once_flag made_;
  std::string text_;
};

struct AdapterObject final : Object {
  static constexpr Kind kKind = Kind::kAdapter;
  AdapterObject(Adapter opened, std::unique_ptr<std::byte[]> held);

  /// Where the file holds a tensor, if it holds its bytes as they are.
  std::optional<std::uint64_t> offset_of(const TensorView& tensor) const noexcept;

  /// The weights if they were copied from the caller; `adapter` points into them.
  std::unique_ptr<std::byte[]> bytes;
  Adapter adapter;
  std::string directory = adapter.directory().string();
  std::string weights_file = adapter.weights_file().string();
  /// The address that the first byte of the file has or would have; 0 if no tensor is as the file
  /// has it.
  std::uintptr_t start = 0;
  LazyText config;
  LazyText findings;
};

struct BaseObject final : Object {
  static constexpr Kind kKind = Kind::kBase;
  explicit BaseObject(BaseModel opened) : base(std::move(opened)) {}
  BaseModel base;
};

struct ReportObject : Object {
  static constexpr Kind kKind = Kind::kReport;
  virtual std::string make_json() const = 0;

  std::span<const Finding> findings;
  LazyText json;
  /// A constant.
  std::string_view verdict;
  bool good = false;
  std::uint64_t matched = 0;
  std::uint64_t total = 0;
};

/// A report of the library, which `to_text` turns into JSON.
template <typename Report, typename ToText>
struct ReportOf final : ReportObject {
  ReportOf(Report of, ToText text) : report(std::move(of)), to_text(std::move(text)) {
    findings = report.findings;
  }
  std::string make_json() const override { return to_text(report); }

  Report report;
  ToText to_text;
};

template <typename Report, typename ToText>
std::unique_ptr<ReportObject> report_of(Report report, ToText to_text) {
  return std::make_unique<ReportOf<Report, ToText>>(std::move(report), std::move(to_text));
}

struct WriterObject final : Object {
  static constexpr Kind kKind = Kind::kWriter;
  StateDict state;
  std::vector<NamedConfig> adapters;
};

/// The object that the handle names, or kInvalidArgument.
template <typename T, typename Handle>
Result<T*> held_by(Handle handle) {
  if (auto* object = find_handle(T::kKind, handle.id)) return static_cast<T*>(object);
  return invalid(handle.id == 0 ? "the handle is none (0)"
                                : "the handle was closed, or is of another kind, or never was one");
}

/// Makes a handle for `object`.
template <typename T, typename Handle>
Result<void> hand_out(std::unique_ptr<T> object, Handle* out) {
  const auto id = add_handle(T::kKind, std::move(object));
  if (id == 0) {
    return Error{.code = ErrorCode::kLimitExceeded, .message = "too many handles are open"};
  }
  out->id = id;
  return {};
}

template <typename T, typename Handle>
ferrule_status close(Handle handle) noexcept {
  return remove_handle(T::kKind, handle.id) ? FERRULE_OK : FERRULE_INVALID_ARGUMENT;
}

/// kInvalidArgument if `pointer`, an argument called `name`, is null.
Result<void> needed(const void* pointer, std::string_view name);

/// The caller's options in the library's form.
Result<OpenOptions> open_options(const ferrule_open_options* given);

/// One finding in the caller's form.
Result<void> give_finding(std::span<const Finding> findings, std::uint64_t index,
                          ferrule_finding* out);

}  // namespace ferrule::capi
