// SPDX-License-Identifier: Apache-2.0
#include "hub_call.hpp"

#include <string_view>

#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;

HubCall::HubCall(nb::handle progress) : progress_(nb::borrow(progress)) {
  if (progress.is_none() || PyCallable_Check(progress.ptr()) != 0) return;
  const auto text = "progress: expected a callable or None, found " + type_name_of(progress);
  throw nb::type_error(text.c_str());
}

hub::Watcher HubCall::watcher() {
  return {.progress =
              [this](const hub::Progress& progress) {
                const std::lock_guard lock(mutex_);
                latest_ = progress;
              },
          .warning =
              [this](std::string_view text) {
                const std::lock_guard lock(mutex_);
                warnings_.emplace_back(text);
              },
          .cancelled = [this] { return cancelled_.load(); }};
}

bool HubCall::look() { return PyErr_CheckSignals() == 0 && tell_progress(); }

bool HubCall::tell_progress() {
  if (progress_.is_none()) return true;
  std::optional<hub::Progress> news;
  {
    const std::lock_guard lock(mutex_);
    news.swap(latest_);
  }
  if (!news) return true;
  try {
    progress_(*news);
  } catch (nb::python_error& error) {
    error.restore();
    return false;
  }
  return true;
}

void HubCall::finish() {
  if (!tell_progress()) throw nb::python_error();
  if (warnings_.empty()) return;
  const auto warn = nb::module_::import_("ferrule._warnings").attr("warn");
  for (const auto& text : warnings_) warn(to_str(text));
}

}  // namespace ferrule::python
