// SPDX-License-Identifier: Apache-2.0
#include "print/hub_report.hpp"

#include <algorithm>
#include <string>

#include "exit_code.hpp"
#include "ferrule/text.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/text.hpp"
#include "signals.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

Json::Array names(const std::vector<std::string>& paths) { return {paths.begin(), paths.end()}; }

void print_left_behind(const hub::PushReport& report) {
  constexpr std::size_t kMaxListed = 50;
  const auto shown = std::min(report.left_behind.size(), kMaxListed);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& one = report.left_behind[i];
    print(Stream::kErr, "left behind: " + printable(one.path, 400) + " (" + one.why + ")\n");
  }
  if (report.left_behind.size() > shown) {
    print(Stream::kErr,
          "... and " + grouped(report.left_behind.size() - shown) + " more (--json lists them)\n");
  }
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int hub_exit_code(const Error& error) {
  const auto kind = hub::failure_kind(error);
  if (kind == "usage") return kUsage;
  const bool bad =
      kind == "adapter" || kind == "integrity" || kind == "unsafe_path" || kind == "card";
  return bad ? kBad : kSystem;
}

Json hub_error(const Error& error) {
  // The message says all by itself, as the line for people does.
  const bool named = error.path.empty() || error.message.find(error.path) != std::string::npos;
  return Json::Object{{"kind", hub::failure_kind(error)},
                      {"message", named ? error.message : error.path + ": " + error.message},
                      {"status", error.http_status != 0 ? Json(error.http_status) : Json()},
                      {"request_id", error.request_id.empty() ? Json() : Json(error.request_id)},
                      {"rule", error.rule},
                      {"path", error.path}};
}

int hub_failure(const Error& error, bool json, Json::Object fields) {
  report(error);
  if (json) {
    fields.emplace_back("error", hub_error(error));
    print_document(std::move(fields));
  }
  return hub_exit_code(error);
}

Json::Object to_json(const hub::PushReport& report) {
  Json::Array left;
  for (const auto& one : report.left_behind)
    left.push_back(Json::Object{{"path", one.path}, {"why", one.why}});
  return Json::Object{{"repo", report.repo},
                      {"revision", report.revision},
                      {"commit", report.commit},
                      {"url", report.url},
                      {"pr_url", report.pr_url.empty() ? Json() : Json(report.pr_url)},
                      {"uploaded", names(report.uploaded)},
                      {"unchanged", names(report.unchanged)},
                      {"dry_run", report.dry_run},
                      {"selected", names(report.selected)},
                      {"left_behind", std::move(left)}};
}

hub::Watcher HubWatcher::watcher() {
  return {[this](const hub::Progress& progress) { show(progress); },
          [this](std::string_view text) {
            line_.clear();
            print(Stream::kErr, "warning: " + printable(text) + "\n");
          },
          [] { return is_interrupted(); }};
}

void HubWatcher::show(const hub::Progress& progress) {
  last_ = progress;
  const auto rate =
      static_cast<double>(progress.bytes_done) / std::max(seconds_since(start_), 1e-3);
  line_.show(verb_ + " " + human_bytes(progress.bytes_done) + " of " +
             human_bytes(progress.bytes_total) + ", " +
             human_bytes(static_cast<std::uint64_t>(rate)) + "/s, " + grouped(progress.files_done) +
             " of " + counted(progress.files_total, "file"));
}

std::string HubWatcher::total() const {
  if (last_.bytes_done == 0) return {};
  const auto rate = static_cast<double>(last_.bytes_done) / std::max(seconds_since(start_), 1e-3);
  return " (" + human_bytes(last_.bytes_done) + ", " +
         human_bytes(static_cast<std::uint64_t>(rate)) + "/s)";
}

void print_push(const hub::PushReport& report, const HubWatcher& watcher) {
  const auto repo = printable(report.repo);
  if (report.dry_run) {
    for (const auto& path : report.selected) print(Stream::kOut, printable(path, 400) + "\n");
    print_left_behind(report);
    print(Stream::kOut, repo + ": " + counted(report.selected.size(), "file") +
                            " would be pushed; nothing was sent\n");
    return;
  }
  print_left_behind(report);
  if (report.uploaded.empty()) {
    print(Stream::kOut, repo + ": unchanged, " + counted(report.unchanged.size(), "file") + ", " +
                            report.commit + "\n");
    return;
  }
  print(Stream::kOut, repo + ": " + counted(report.uploaded.size(), "file") + " pushed" +
                          watcher.total() + ", " +
                          printable(report.pr_url.empty() ? report.url : report.pr_url) + "\n");
}

}  // namespace ferrule::cli
