// SPDX-License-Identifier: Apache-2.0
#include "model/module_layout.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include "model/layout_order.hpp"

namespace ferrule::model {
namespace {

using namespace std::string_view_literals;

#include "model/module_layouts_data.inc"

using Names = std::span<const std::string_view>;

struct Child {
  std::string_view name;  ///< "#" for the entries of a ModuleList.
  std::vector<std::size_t> nodes;
};

struct Node {
  ModuleKind kind;
  std::vector<Child> children;
};

std::size_t to_size(std::string_view text) {
  std::size_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Node read_node(std::size_t number) {
  Node node;
  const auto words = entries(kLayoutNodes[number], ' ');
  node.kind = {words[0][0], words[0].size() > 2 ? words[0].substr(2) : std::string_view()};
  for (std::size_t i = 1; i < words.size(); ++i) {
    const auto at = words[i].find('=');
    Child child{words[i].substr(0, at), {}};
    for (const auto text : entries(words[i].substr(at + 1))) child.nodes.push_back(to_size(text));
    node.children.push_back(std::move(child));
  }
  return node;
}

/// The parameters below `path`, out of a sorted list.
Names below(Names names, std::string_view path) {
  const auto low = std::string(path) + ".";
  const auto high = std::string(path) + "/";  // The character after '.'.
  const auto first = std::lower_bound(names.begin(), names.end(), std::string_view(low));
  const auto last = std::lower_bound(first, names.end(), std::string_view(high));
  return {first, last};
}

/// The first component after `depth` characters.
std::string_view component(std::string_view name, std::size_t depth) {
  return name.substr(depth, name.find('.', depth) - depth);
}

/// Paths of models within the model that the config makes another class of, and their layouts.
using Replaced = std::map<std::string, std::int64_t, std::less<>>;

Replaced replaced_in(const ModelClass& row, const Json& config) {
  Replaced out;
  for (auto& part : parts_of(row, config)) {
    const auto* other = part.replaced ? find_model_class(part.class_name) : nullptr;
    if (part.replaced && !part.path.empty()) {
      out.emplace(std::move(part.path), other == nullptr ? -1 : other->layout);
    }
  }
  return out;
}

/// Walks a layout next to the parameters of a checkpoint.
class Walk {
 public:
  Walk(const ModelClass& row, const Json& config) : replaced_(replaced_in(row, config)) {}

  void visit(std::size_t number, const std::string& path, Names names) {
    if (const auto found = replaced_.find(path); found != replaced_.end()) {
      if (found->second < 0) return;
      number = static_cast<std::size_t>(found->second);
    }
    const auto& at = node(number);
    if (!path.empty()) out_.push_back({path, at.kind});
    for (const auto& child : at.children) {
      if (child.name == "#") {
        visit_list(child, path, names);
        continue;
      }
      const auto name =
          path.empty() ? std::string(child.name) : path + "." + std::string(child.name);
      const auto inner = below(names, name);
      if (!inner.empty() || !owns(child.nodes.front())) visit(child.nodes.front(), name, inner);
    }
  }

  std::vector<LiveModule> take() {
    std::sort(out_.begin(), out_.end(),
              [](const LiveModule& a, const LiveModule& b) { return a.path < b.path; });
    return std::move(out_);
  }

 private:
  const Node& node(std::size_t number) {
    auto found = nodes_.find(number);
    if (found == nodes_.end()) found = nodes_.emplace(number, read_node(number)).first;
    return found->second;
  }

  /// Whether the module or one below it has parameters.
  bool owns(std::size_t number) {
    if (const auto found = owns_.find(number); found != owns_.end()) return found->second;
    const auto& at = node(number);
    bool result = at.kind.letter < 'a';  // Digits and upper-case letters.
    for (const auto& child : at.children) {
      for (const auto inner : child.nodes) result = owns(inner) || result;
    }
    owns_.emplace(number, result);
    return result;
  }

  void visit_list(const Child& child, const std::string& path, Names names) {
    const auto depth = path.empty() ? 0 : path.size() + 1;
    for (std::size_t i = 0; i < names.size();) {
      const auto part = component(names[i], depth);
      const auto name = (path.empty() ? std::string() : path + ".") + std::string(part);
      const auto inner = below(names.subspan(i), name);
      if (inner.empty()) {
        ++i;
        continue;
      }
      if (const auto best = best_of(child.nodes, name, inner)) visit(*best, name, inner);
      i += inner.size();
    }
  }

  /// The alternative that accounts best for these parameters.
  std::optional<std::size_t> best_of(const std::vector<std::size_t>& nodes, const std::string& path,
                                     Names names) {
    if (nodes.size() == 1) return nodes.front();
    std::optional<std::size_t> best;
    std::size_t least = 0;
    for (const auto number : nodes) {
      const auto wrong = mismatches(number, path, names);
      if (best && wrong >= least) continue;
      best = number;
      least = wrong;
    }
    return best;
  }

  /// How many modules only one of the two has.
  std::size_t mismatches(std::size_t number, const std::string& path, Names names) {
    const auto& at = node(number);
    std::size_t wrong = 0;
    const Child* list = nullptr;
    for (const auto& child : at.children) {
      if (child.name == "#") {
        list = &child;
        continue;
      }
      const auto inner = below(names, path + "." + std::string(child.name));
      if (inner.empty()) {
        if (owns(child.nodes.front())) ++wrong;
      } else {
        wrong += mismatches(child.nodes.front(), path + "." + std::string(child.name), inner);
      }
    }
    bool looked = false;
    for (std::size_t i = 0; i < names.size();) {
      const auto part = component(names[i], path.size() + 1);
      const bool module = names[i].size() > path.size() + 1 + part.size();
      const auto inner = module ? below(names.subspan(i), path + "." + std::string(part)) : Names();
      const bool known = std::any_of(at.children.begin(), at.children.end(),
                                     [&](const Child& child) { return child.name == part; });
      if (list != nullptr && module && !std::exchange(looked, true)) {
        std::size_t least = names.size();
        for (const auto inside : list->nodes) {
          least = std::min(least, mismatches(inside, path + "." + std::string(part), inner));
        }
        wrong += least;
      } else if (list == nullptr && !known && (module || at.kind.letter >= 'a')) {
        ++wrong;
      }
      i += std::max<std::size_t>(inner.size(), 1);
    }
    return wrong;
  }

  std::map<std::size_t, Node> nodes_;
  std::map<std::size_t, bool> owns_;
  Replaced replaced_;
  std::vector<LiveModule> out_;
};

}  // namespace

LayoutOrder::LayoutOrder(const ModelClass* row, const Json& config) {
  if (row == nullptr) return;
  root_ = row->layout;
  replaced_ = replaced_in(*row, config);
}

std::optional<std::vector<std::size_t>> LayoutOrder::place_of(std::string_view path) const {
  if (root_ < 0) return std::nullopt;
  std::vector<std::size_t> place;
  // Entries of a list may be of several classes.
  std::vector<std::size_t> nodes = {static_cast<std::size_t>(root_)};
  for (std::size_t depth = 0; depth < path.size();) {
    const auto part = component(path, depth);
    const auto wanted = part.find_first_not_of("0123456789") == part.npos ? "#"sv : part;
    std::optional<std::size_t> at;
    std::vector<std::size_t> next;
    for (const auto number : nodes) {
      const auto node = read_node(number);
      for (std::size_t i = 0; i < node.children.size(); ++i) {
        const auto& child = node.children[i];
        if (child.name != wanted && child.name != part) continue;
        if (!at) at = child.name == "#" ? to_size(part) : i;
        next.insert(next.end(), child.nodes.begin(), child.nodes.end());
      }
    }
    if (!at) return std::nullopt;
    place.push_back(*at);
    depth += part.size() + 1;
    const auto other = replaced_.find(path.substr(0, depth - 1));
    if (other != replaced_.end()) {
      if (other->second < 0) return std::nullopt;
      next.assign(1, static_cast<std::size_t>(other->second));
    }
    nodes = std::move(next);
  }
  return place;
}

std::optional<bool> has_child(const ModelClass& row, std::string_view name) {
  if (row.layout < 0) return std::nullopt;
  const auto root = read_node(static_cast<std::size_t>(row.layout));
  return std::any_of(root.children.begin(), root.children.end(),
                     [&](const Child& child) { return child.name == name; });
}

std::vector<LiveModule> live_modules(const ModelClass& row, const Json& config, Names parameters) {
  if (row.layout < 0) return {};
  Walk walk(row, config);
  walk.visit(static_cast<std::size_t>(row.layout), {}, parameters);
  return walk.take();
}

}  // namespace ferrule::model
