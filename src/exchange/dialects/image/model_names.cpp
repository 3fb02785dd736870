// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/model_names.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/ascii.hpp"

namespace ferrule::exchange {
namespace {

/// What the stars of a pattern stand for, in order.
using Numbers = std::vector<std::string_view>;

/// The words of a text, one after the other.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}

  bool next(std::string_view& word) {
    if (text_.empty()) return false;
    const auto end = std::min(text_.find(' '), text_.size());
    word = text_.substr(0, end);
    text_.remove_prefix(std::min(text_.size(), end + 1));
    return true;
  }

 private:
  std::string_view text_;
};

bool has_word(std::string_view list, std::string_view wanted) {
  Words words(list);
  for (std::string_view word; words.next(word);) {
    if (word == wanted) return true;
  }
  return false;
}

/// Takes what the pattern means off the start of the text; false if it does not begin so.
bool take(std::string_view& text, std::string_view pattern, bool flat, Numbers& numbers) {
  for (const char c : pattern) {
    if (c == '*') {
      std::size_t size = 0;
      while (size < text.size() && base::is_digit(text[size])) ++size;
      if (size == 0) return false;
      numbers.push_back(text.substr(0, size));
      text.remove_prefix(size);
      continue;
    }
    if (text.empty() || (text.front() != c && !(flat && c == '.' && text.front() == '_'))) {
      return false;
    }
    text.remove_prefix(1);
  }
  return true;
}

/// True if the text is `head` and `tail`, one after the other.
bool fits(std::string_view text, std::string_view head, std::string_view tail, bool flat,
          Numbers& numbers) {
  numbers.clear();
  return take(text, head, flat, numbers) && take(text, tail, flat, numbers) && text.empty();
}

std::string filled(std::string_view head, std::string_view tail, const Numbers& numbers) {
  std::string out;
  std::size_t at = 0;
  for (const auto part : {head, tail}) {
    for (const char c : part) {
      if (c == '*' && at < numbers.size()) {
        out += numbers[at++];
      } else {
        out += c;
      }
    }
  }
  return out;
}

FusedModule modules_of(const NameBlock& block, const NameLine& line, const Numbers& numbers) {
  FusedModule out{.paths = {},
                  .ratio = {},
                  .rows = line.rows,
                  .component = std::string(block.component),
                  .original = true};
  Words paths(line.paths);
  for (std::string_view path; paths.next(path);) {
    out.paths.push_back(filled(block.path, path, numbers));
  }
  for (const char c : line.ratio) {
    if (c != ' ') out.ratio.push_back(static_cast<std::uint64_t>(c - '0'));
  }
  return out;
}

/// A module whose name below the block is the same in both spellings, if the text is one.
std::optional<FusedModule> same_below(std::string_view text, const NameBlock& block,
                                      std::string_view head, bool flat, Numbers& numbers) {
  const auto make = [&](std::string_view name) {
    auto out = one_module(filled(block.path, name, numbers));
    out.component = std::string(block.component);
    out.original = block.original != block.path;
    return out;
  };
  if (block.same == "**") {
    numbers.clear();
    auto rest = text;
    if (flat || !take(rest, head, flat, numbers) || rest.empty()) return std::nullopt;
    return make(rest);
  }
  Words words(block.same);
  for (std::string_view word; words.next(word);) {
    if (fits(text, head, word, flat, numbers)) return make(word);
  }
  return std::nullopt;
}

/// A path of diffusers in one of the block's lines, if the text is one.
std::optional<FusedModule> diffusers_below(std::string_view text, const NameBlock& block, bool flat,
                                           Numbers& numbers) {
  if (!block.component.empty()) return std::nullopt;
  for (const auto& line : block.lines) {
    Words paths(line.paths);
    for (std::string_view path; paths.next(path);) {
      if (fits(text, block.path, path, flat, numbers)) {
        return one_module(filled(block.path, path, numbers));
      }
    }
  }
  auto same = same_below(text, block, block.path, flat, numbers);
  if (same) same->original = false;
  return same;
}

const NameLine* line_called(std::string_view name, const ImageModel& model, bool flat) {
  Numbers numbers;
  for (const auto& block : model.blocks) {
    for (const auto& line : block.lines) {
      if (fits(name, block.original, line.original, flat, numbers)) return &line;
    }
  }
  return nullptr;
}

}  // namespace

std::uint64_t FusedModule::total() const {
  return std::accumulate(ratio.begin(), ratio.end(), std::uint64_t{0});
}

bool FusedModule::swaps(std::uint64_t rows_of_weight, std::uint64_t columns) const {
  if (rows == Rows::kHalvesSwappedIfTwice) return rows_of_weight == 2 * columns;
  return rows == Rows::kHalvesSwapped;
}

bool FusedModule::same_as(const FusedModule& other) const {
  return paths == other.paths && ratio == other.ratio && rows == other.rows &&
         component == other.component;
}

FusedModule one_module(std::string path) { return {.paths = {std::move(path)}, .ratio = {1}}; }

const std::vector<const ImageModel*>& all_image_models() {
  static const auto kAll = [] {
    std::vector<const ImageModel*> out;
    for (const auto models : {still_models(), pixart_models(), hunyuan_models(), video_models()}) {
      for (const auto& model : models) out.push_back(&model);
    }
    return out;
  }();
  return kAll;
}

const ImageModel* image_model_called(std::string_view name) {
  for (const auto* model : all_image_models()) {
    if (model->name == name || has_word(model->aliases, name)) return model;
  }
  return nullptr;
}

const ImageModel* image_model_of_class(std::string_view class_name) {
  for (const auto* model : all_image_models()) {
    if (!class_name.empty() && has_word(model->classes, class_name)) return model;
  }
  return nullptr;
}

const ImageModel* image_model_in_header(std::string_view value) {
  struct Head {
    std::string_view text;
    std::string_view model;
  };
  // sd-scripts and musubi-tuner; longer ones before those that they begin with.
  constexpr Head kHeads[] = {{"flux1", "flux"},
                             {"flux-1", "flux"},
                             {"flux.1", "flux"},
                             {"flux_kontext", "flux"},
                             {"chroma", "flux"},
                             {"flux.2", "flux2"},
                             {"flux-2", "flux2"},
                             {"flux_2", "flux2"},
                             {"flux2", "flux2"},
                             {"sd3", "sd3"},
                             {"stable-diffusion-3", "sd3"},
                             {"wan", "wan"},
                             {"framepack", "hunyuan-video"},
                             {"hunyuan-video-1", "hunyuan-video-1.5"},
                             {"hunyuan_video_1", "hunyuan-video-1.5"},
                             {"hunyuan-image", "hunyuan-image"},
                             {"hunyuan_image", "hunyuan-image"},
                             {"kandinsky5", "kandinsky5"},
                             {"kandinsky-5", "kandinsky5"},
                             {"ideogram", "ideogram4"},
                             {"krea2", "krea2"},
                             {"krea-2", "krea2"},
                             {"pixart", "pixart"},
                             {"hunyuan-video", "hunyuan-video"},
                             {"hunyuan_video", "hunyuan-video"},
                             {"qwen-image", "qwen-image"},
                             {"qwen_image", "qwen-image"},
                             {"z-image", "z-image"},
                             {"z_image", "z-image"},
                             {"lumina", "lumina2"},
                             {"anima", "cosmos"}};
  std::string lower(value);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (const auto& [head, model] : kHeads) {
    if (lower.starts_with(head)) return image_model_called(model);
  }
  return nullptr;
}

std::vector<FusedModule> modules_called(std::string_view name, const ImageModel& model, bool flat) {
  std::vector<FusedModule> out;
  Numbers numbers;
  const auto add = [&](FusedModule found) {
    const bool known = std::any_of(out.begin(), out.end(),
                                   [&](const auto& other) { return other.same_as(found); });
    if (!known) out.push_back(std::move(found));
  };
  for (const auto& block : model.blocks) {
    if (auto found = diffusers_below(name, block, flat, numbers)) add(std::move(*found));
  }
  for (const auto& block : model.blocks) {
    for (const auto& line : block.lines) {
      if (fits(name, block.original, line.original, flat, numbers)) {
        add(modules_of(block, line, numbers));
      }
    }
    if (auto found = same_below(name, block, block.original, flat, numbers)) {
      add(std::move(*found));
    }
  }
  return out;
}

bool has_size_of(std::string_view name, const ImageModel& model, bool flat, std::uint64_t rows,
                 std::uint64_t columns) {
  const auto* line = line_called(name, model, flat);
  if (line == nullptr || line->rows_per == 0 || rows == 0 || columns == 0) return false;
  // Sizes that do not fit into half of 64 bits are of no model.
  if (rows > UINT32_MAX || columns > UINT32_MAX) return false;
  return rows * line->columns == columns * line->rows_per;
}

std::optional<OriginalPart> to_original(std::string_view path, const ImageModel& model) {
  Numbers numbers;
  for (const auto& block : model.blocks) {
    if (!block.component.empty()) continue;
    for (const auto& line : block.lines) {
      Words paths(line.paths);
      std::size_t part = 0;
      for (std::string_view below; paths.next(below); ++part) {
        if (!fits(path, block.path, below, false, numbers)) continue;
        return OriginalPart{filled(block.original, line.original, numbers), part,
                            modules_of(block, line, numbers)};
      }
    }
    Words words(block.same == "**" ? std::string_view() : block.same);
    for (std::string_view word; words.next(word);) {
      if (!fits(path, block.path, word, false, numbers)) continue;
      return OriginalPart{filled(block.original, word, numbers), 0, one_module(std::string(path))};
    }
  }
  return std::nullopt;
}

// Names without a block ("proj_out") are those of other kinds of models, too.
bool is_transformer_path(std::string_view path) {
  Numbers numbers;
  for (const auto* model : all_image_models()) {
    for (const auto& block : model->blocks) {
      if (model->must_be_named || block.path.find('*') == std::string_view::npos) continue;
      if (diffusers_below(path, block, false, numbers)) return true;
    }
  }
  return false;
}

bool is_original_path(std::string_view path) {
  Numbers numbers;
  for (const auto* model : all_image_models()) {
    for (const auto& block : model->blocks) {
      if (model->must_be_named || block.original.find('*') == std::string_view::npos) continue;
      for (const auto& line : block.lines) {
        if (fits(path, block.original, line.original, false, numbers)) return true;
      }
    }
  }
  return false;
}

}  // namespace ferrule::exchange
