// SPDX-License-Identifier: Apache-2.0
#include "commands/batch.hpp"

#include <algorithm>
#include <utility>

#include "ferrule/inspect.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/text.hpp"
#include "signals.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

namespace fs = std::filesystem;

/// The adapters of a folder, without those that belong to an adapter right above them.
std::vector<fs::path> roots_of(const FolderSummary& folder) {
  std::vector<fs::path> roots;
  for (const auto& adapter : folder.adapters) {  // Sorted: a parent comes first.
    const bool belongs =
        std::find(roots.begin(), roots.end(), adapter.directory.parent_path()) != roots.end();
    if (!belongs) roots.push_back(adapter.directory);
  }
  return roots;
}

}  // namespace

void add_keep_going(Arguments& command, bool& keep_going) {
  command.flag("--keep-going", keep_going,
               "For a folder of adapters: write each on its own, and go on after one that fails");
}

int rewrite_each(
    const std::string& folder, const std::string& output, bool json,
    const std::function<Result<Rewritten>(const std::string&, const std::string&)>& rewrite) {
  const auto found = inspect_folder(folder);
  if (!found) return fail(found.error(), json);
  int worst = found->unreadable.empty() ? kGood : kSystem;
  for (const auto& error : found->unreadable) report(error);
  Json::Array adapters;
  Json::Array failed;
  const auto roots = roots_of(*found);
  for (const auto& from : roots) {
    if (is_interrupted()) break;
    const auto to = (fs::path(output) / from.lexically_relative(folder)).lexically_normal();
    auto done = rewrite(from.string(), to.string());
    if (done) {
      worst = std::max(worst, done->code);
      // Entries name their folder below the adapter; the document is about all adapters.
      for (auto& adapter : done->adapters) {
        auto* below = adapter.find("folder");
        if (below == nullptr) continue;
        auto path = from.lexically_relative(folder);
        if (!below->if_string()->empty()) path /= *below->if_string();
        *below = path == "." ? std::string() : path.string();
      }
      std::move(done->adapters.begin(), done->adapters.end(), std::back_inserter(adapters));
      if (done->code == kGood) continue;
      failed.push_back(Json::Object{{"path", from.string()}, {"error", Json()}});
    } else {
      report(done.error());
      worst = std::max(worst, exit_code(done.error()));
      failed.push_back(Json::Object{{"path", from.string()}, {"error", to_json(done.error())}});
    }
  }
  if (json) {
    print_document(
        {{"directory", output}, {"adapters", std::move(adapters)}, {"failed", std::move(failed)}});
  } else {
    print(Stream::kOut, grouped(roots.size() - failed.size()) + " written, " +
                            grouped(failed.size()) + " failed of " + grouped(roots.size()) + "\n");
  }
  return worst;
}

}  // namespace ferrule::cli
