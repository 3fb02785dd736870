// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "ferrule/torch/save.hpp"

namespace ferrule::libtorch {

/// The adapters of a model at one moment, in memory of their own: what may be saved while the model
/// goes on training. Any thread may use it.
class Snapshot {
 public:
  /// Copies the adapters' tensors (those of the base are not copied). The caller sees to it that
  /// nothing writes to the model meanwhile. Fails as save_pretrained() does before it writes.
  static Result<Snapshot> take(const ModelRef& model, const SaveOptions& options = {},
                               Untrained untrained = Untrained::kRefuse) {
    return detail::guarded(model, [&]() -> Result<Snapshot> {
      const auto places = detail::places_of(model);
      auto configs = detail::configs_to_save(places, options, untrained);
      if (!configs) return std::move(configs).error();
      auto complete = options;
      auto live = detail::prepare_save(model, places, complete, true, true);
      if (!live) return std::move(live).error();
      return Snapshot(*std::move(live), *std::move(configs), std::move(complete));
    });
  }

  /// As save_pretrained() at that moment.
  Result<SaveReport> save_pretrained(const std::filesystem::path& directory) const {
    return ferrule::save(live_.state(), configs_, directory, options_);
  }

 private:
  Snapshot(detail::LiveState live, std::vector<NamedConfig> configs, SaveOptions options)
      : live_(std::move(live)), configs_(std::move(configs)), options_(std::move(options)) {}

  detail::LiveState live_;
  std::vector<NamedConfig> configs_;
  SaveOptions options_;
};

/// Saves adapters in a thread of its own while the model trains on.
///
/// save_pretrained() copies the adapters before it returns, so the caller may change the model at
/// once; it must not be called while another thread writes to the model. Saves are written one
/// after the other in the order of the calls, so the last one to a folder is what the folder has in
/// the end. At most `backlog` snapshots wait in memory: a further call waits for room. All members
/// may be called from any number of threads. The destructor waits until all is written; errors that
/// no caller has asked for are lost then.
class AsyncSaver {
 public:
  using Pending = std::shared_future<Result<SaveReport>>;

  explicit AsyncSaver(std::size_t backlog = 2) : backlog_(backlog == 0 ? 1 : backlog) {
    worker_ = std::thread([this] { work(); });
  }
  AsyncSaver(const AsyncSaver&) = delete;
  AsyncSaver& operator=(const AsyncSaver&) = delete;
  ~AsyncSaver() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    worker_.join();
  }

  /// Fails at once as Snapshot::take(); the future has what the save returned.
  Result<Pending> save_pretrained(const ModelRef& model, const std::filesystem::path& directory,
                                  const SaveOptions& options = {},
                                  Untrained untrained = Untrained::kRefuse) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return jobs_.size() < backlog_; });
    // Under the lock: snapshots are taken in the order in which they are written.
    auto snapshot = Snapshot::take(model, options, untrained);
    if (!snapshot) return std::move(snapshot).error();
    jobs_.push_back({std::make_unique<Snapshot>(*std::move(snapshot)), directory, {}});
    Pending pending = jobs_.back().result.get_future().share();
    changed_.notify_all();
    return pending;
  }

  /// Returns when nothing waits or is being written.
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return jobs_.empty() && !busy_; });
  }

 private:
  struct Job {
    std::unique_ptr<Snapshot> snapshot;
    std::filesystem::path directory;
    std::promise<Result<SaveReport>> result;
  };

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return ends_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      busy_ = true;
      lock.unlock();
      changed_.notify_all();
      auto saved = detail::guarded([&] { return job.snapshot->save_pretrained(job.directory); });
      job.snapshot.reset();
      job.result.set_value(std::move(saved));
      lock.lock();
      busy_ = false;
      changed_.notify_all();
    }
  }

  std::size_t backlog_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool busy_ = false;
  bool ends_ = false;
  std::thread worker_;
};

}  // namespace ferrule::libtorch
