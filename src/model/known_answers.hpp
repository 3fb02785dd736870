// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

namespace ferrule::model {

/// The last few answers that a base gave. Questions and answers are what the rooms above make them:
/// equal questions are one object. May be used by any number of threads at once.
class KnownAnswers {
 public:
  using Anything = std::shared_ptr<const void>;

  /// nullptr if the question was not asked, or if it was long ago.
  Anything find(const void* question, unsigned variant) {
    const std::lock_guard lock(mutex_);
    for (const auto& known : kept_) {
      if (known.question.get() == question && known.variant == variant) return known.answer;
    }
    return nullptr;
  }

  void keep(Anything question, unsigned variant, Anything answer) {
    Known known{std::move(question), variant, std::move(answer)};
    const std::lock_guard lock(mutex_);
    std::swap(kept_[oldest_], known);  // What is freed is freed without the lock.
    oldest_ = (oldest_ + 1) % kept_.size();
  }

 private:
  struct Known {
    Anything question;
    unsigned variant = 0;
    Anything answer;
  };

  std::mutex mutex_;
  std::array<Known, 8> kept_;
  std::size_t oldest_ = 0;
};

}  // namespace ferrule::model
