// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "base/last_few.hpp"

namespace ferrule::model {

/// The last few answers that a base gave. Questions and answers are what the rooms above make them:
/// equal questions are one object. May be used by any number of threads at once.
class KnownAnswers {
 public:
  using Anything = std::shared_ptr<const void>;

  /// nullptr if the question was not asked, or if it was long ago.
  Anything find(const void* question, unsigned variant) {
    return kept_.find([&](const Known& known) {
      const bool is_it = known.question.get() == question && known.variant == variant;
      return is_it ? known.answer : nullptr;
    });
  }

  void keep(Anything question, unsigned variant, Anything answer) {
    kept_.keep({std::move(question), variant, std::move(answer)});
  }

 private:
  struct Known {
    Anything question;
    unsigned variant = 0;
    Anything answer;
  };

  LastFew<Known> kept_;
};

}  // namespace ferrule::model
