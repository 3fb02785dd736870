// SPDX-License-Identifier: Apache-2.0
#include "base/call_control.hpp"

namespace ferrule {
namespace {

thread_local CallControl* t_control = nullptr;

}  // namespace

CallControl::Scope::Scope(CallControl* control) noexcept : before_(t_control) {
  t_control = control;
}

CallControl::Scope::~Scope() { t_control = before_; }

namespace base {

CallControl* call_control() noexcept { return t_control; }

}  // namespace base
}  // namespace ferrule
