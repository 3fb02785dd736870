// SPDX-License-Identifier: Apache-2.0
#include "adapter/card.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/card/front_matter.hpp"
#include "temp_dir.hpp"

namespace ferrule::adapter {
namespace {

AdapterConfig config(std::string_view json) { return AdapterConfig::parse(json).value(); }

const AdapterConfig& lora() {
  static const AdapterConfig value =
      config(R"({"peft_type": "LORA", "r": 8, "lora_alpha": 16, "task_type": "CAUSAL_LM"})");
  return value;
}

CardAdapter adapter_of(const AdapterConfig& config, std::string name = "default") {
  CardAdapter adapter;
  adapter.name = std::move(name);
  adapter.config = &config;
  adapter.tensors = 4;
  adapter.parameters = 12345;
  adapter.file_bytes = 49876;
  adapter.module_paths = {"model.layers.0.q_proj", "model.layers.1.q_proj", "model.layers.2.q_proj",
                          "model.layers.5.q_proj", "lm_head"};
  adapter.strength_min = 2.0;
  adapter.strength_max = 2.0;
  adapter.dtype = "F32";
  return adapter;
}

ModelFacts facts_of(std::string name) {
  ModelFacts facts;
  facts.name_or_path = std::move(name);
  facts.is_transformers = true;
  return facts;
}

CardResult card(const std::optional<std::string>& existing, std::string name = "toy/base") {
  const CardAdapter adapter = adapter_of(lora());
  return make_card({&adapter, 1}, facts_of(std::move(name)), existing);
}

std::string front_matter(const CardResult& result) {
  return std::string(format::split_card(result.text).yaml);
}

bool has_rule(const std::vector<Finding>& findings, std::string_view rule, Severity severity) {
  return std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) {
    return finding.rule == rule && finding.severity == severity;
  });
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

constexpr std::string_view kFrontMatter =
    "base_model: toy/base\nlibrary_name: peft\npipeline_tag: text-generation\ntags:\n"
    "- base_model:adapter:toy/base\n- lora\n- transformers";

TEST(NewCard, HasPeftsFrontMatter) {
  const CardResult result = card(std::nullopt);
  EXPECT_TRUE(result.changed);
  EXPECT_EQ(front_matter(result), kFrontMatter);
  EXPECT_TRUE(result.findings.empty());
}

TEST(NewCard, SaysWhatIsInside) {
  const std::string text = card(std::nullopt).text;
  for (const std::string_view part :
       {"# PEFT adapter for toy/base", "| Method | `LORA` |", "| Task | `CAUSAL_LM` |",
        "| Rank | 8 |", "| Alpha | 16 |", "| Strength | 2 |", "| Modules | 5 |", "| Tensors | 4 |",
        "| Parameters | 12,345 |", "| Stored as | `F32` |", "| Size | 49.9 kB (49,876 bytes) |",
        "- `lm_head`\n", "- `model.layers.*.q_proj`, 4 modules (`*` is 0-2, 5)\n",
        "AutoModelForCausalLM.from_pretrained(\"toy/base\")", "ferrule::Adapter::open"}) {
    EXPECT_TRUE(contains(text, part)) << part << "\n" << text;
  }
}

// MC-9
TEST(NewCard, HasNothingAboutFerruleIfItIsPlain) {
  const CardAdapter adapter = adapter_of(lora());
  const auto facts = facts_of("toy/base");
  const CardResult plain = make_card({&adapter, 1}, facts, std::nullopt, {.plain = true});
  EXPECT_FALSE(contains(plain.text, "Ferrule")) << plain.text;
  EXPECT_TRUE(contains(plain.text, "## Load it with PEFT")) << plain.text;
  EXPECT_FALSE(make_card({&adapter, 1}, facts, plain.text, {.plain = true}).changed);
  // The option of each save decides, whatever the card had before.
  const CardResult full = card(std::nullopt);
  EXPECT_EQ(card(plain.text).text, full.text);
  EXPECT_EQ(make_card({&adapter, 1}, facts, full.text, {.plain = true}).text, plain.text);
}

// MC-8
TEST(NewCard, EndsWithTheFrameworkLine) {
  const std::string text = card(std::nullopt).text;
  const std::string_view end = "\n\n### Framework versions\n\n- PEFT 0.21.2";
  EXPECT_EQ(text.substr(text.size() - end.size()), end);
}

TEST(NewCard, HasTextUnderEveryHeading) {
  const std::string text = card(std::nullopt).text;
  EXPECT_FALSE(contains(text, "More Information Needed"));
  std::string last;
  for (std::size_t at = text.find("\n---\n") + 5; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    const bool is_section = line.substr(0, 3) == "## " || line.substr(0, 4) == "### ";
    if (!line.empty()) {
      EXPECT_FALSE(is_section && last.substr(0, 3) == "## ") << line;
      last = line;
    }
    at = end + 1;
  }
}

TEST(NewCard, TakesThePlaceOfAnEmptyFile) { EXPECT_EQ(card("").text, card(std::nullopt).text); }

TEST(NewCard, SecondSaveChangesNothing) {
  const CardResult first = card(std::nullopt);
  const CardResult second = card(first.text);
  EXPECT_FALSE(second.changed);
  EXPECT_EQ(second.text, first.text);
}

TEST(NewCard, ListsEveryAdapter) {
  const AdapterConfig ia3 = config(R"({"peft_type": "IA3"})");
  const std::vector<CardAdapter> adapters = {adapter_of(ia3, "en"), adapter_of(lora(), "de")};
  const CardResult result = make_card(adapters, facts_of("toy/base"), std::nullopt);
  EXPECT_TRUE(contains(result.text, "## Adapter `en`"));
  EXPECT_TRUE(contains(result.text, "## Adapter `de`"));
  EXPECT_TRUE(contains(result.text, R"(subfolder="en", adapter_name="en")"));
  EXPECT_TRUE(contains(result.text, R"(model.load_adapter("path/to/this/folder", subfolder="de")"));
  EXPECT_FALSE(contains(front_matter(result), "lora")) << "the first one is the active adapter";
}

TEST(NewCard, DefaultIsTheActiveAdapter) {
  const AdapterConfig ia3 = config(R"({"peft_type": "IA3"})");
  const std::vector<CardAdapter> adapters = {adapter_of(ia3, "en"), adapter_of(lora())};
  const CardResult result = make_card(adapters, facts_of("toy/base"), std::nullopt);
  EXPECT_TRUE(contains(front_matter(result), "- lora"));
}

TEST(NewCard, QuotesUntrustedNames) {
  CardAdapter adapter = adapter_of(lora(), "a`|<b>\n# c");
  adapter.module_paths = {"x`|y\x1b[0m", std::string(5000, 'z')};
  const std::string text = make_card({&adapter, 1}, {}, std::nullopt).text;
  EXPECT_TRUE(contains(text, R"(## Adapter `a'\|<b>\n# c`)"));
  EXPECT_TRUE(contains(text, R"(x'\|y\u001b[0m)"));
  EXPECT_FALSE(contains(text, "\n# c"));
  EXPECT_LT(text.size(), 4000U);
}

TEST(NewCard, IsBoundedForAnyNumberOfModules) {
  CardAdapter adapter = adapter_of(lora());
  for (int i = 0; i < 20000; ++i) adapter.module_paths.push_back("m" + std::to_string(i) + "x");
  const std::string text = make_card({&adapter, 1}, {}, std::nullopt).text;
  EXPECT_LT(text.size(), 10000U);
  EXPECT_TRUE(contains(text, " more modules\n"));
}

TEST(BaseModel, IsNeverALocalPath) {
  for (const std::string name : {"/data/llama", "./llama", "../llama", "C:\\llama", "~/llama",
                                 "out/checkpoint-5", "file:///llama", ""}) {
    const CardResult result = card(std::nullopt, name);
    EXPECT_EQ(front_matter(result),
              "library_name: peft\npipeline_tag: text-generation\ntags:\n- lora\n- transformers")
        << name;
    EXPECT_TRUE(has_rule(result.findings, "MC-5", Severity::kNote)) << name;
    EXPECT_TRUE(name.empty() || !contains(result.text, name)) << name;
  }
}

TEST(BaseModel, IsNoDirectoryThatTheCallerKnows) {
  const CardAdapter adapter = adapter_of(lora());
  const CardResult result =
      make_card({&adapter, 1}, facts_of("toy/base"), std::nullopt, {.base_is_local = true});
  EXPECT_FALSE(contains(front_matter(result), "toy/base"));
  EXPECT_TRUE(has_rule(result.findings, "MC-5", Severity::kNote));
}

TEST(BaseModel, ComesFromTheAdaptersConfigWithoutFacts) {
  const AdapterConfig named = config(
      R"({"peft_type": "LORA", "base_model_name_or_path": "toy/base", "task_type": "SEQ_CLS"})");
  const CardAdapter adapter = adapter_of(named);
  EXPECT_EQ(
      front_matter(make_card({&adapter, 1}, {}, std::nullopt)),
      "base_model: toy/base\nlibrary_name: peft\ntags:\n- base_model:adapter:toy/base\n- lora\n"
      "- transformers");
}

TEST(BaseModel, LocalPathLeftByPeftIsRemoved) {
  const std::string existing =
      "---\nbase_model: /data/llama\nlibrary_name: peft\ntags:\n- base_model:adapter:/data/llama\n"
      "- lora\n---\n\n# Mine\n";
  const CardResult result = card(existing, "/data/llama");
  EXPECT_FALSE(contains(result.text, "/data/llama"));
  EXPECT_TRUE(contains(result.text, "\n# Mine\n"));
}

TEST(BaseModel, WrittenByAPersonStaysWhereOursIsLocal) {
  const std::string existing =
      "---\nbase_model: toy/base # really\ntags:\n- base_model:adapter:toy/base\n---\n# Mine\n";
  const CardResult result = card(existing, "/data/llama");
  EXPECT_TRUE(contains(result.text, "base_model: toy/base # really\n"));
  EXPECT_TRUE(contains(result.text, "- base_model:adapter:toy/base\n- lora\n"));
}

TEST(PromptLearning, IsTaggedAsPeftTagsIt) {
  const AdapterConfig prompt = config(
      R"({"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": 4})");
  const CardAdapter adapter = adapter_of(prompt);
  ModelFacts facts = facts_of("toy/base");
  facts.modules = {{"", "GPT2LMHeadModel"}, {"transformer", "GPT2Model"}};
  EXPECT_FALSE(contains(make_card({&adapter, 1}, facts, std::nullopt).text, "- transformers\n"));
  facts.modules = {{"", "LlamaForCausalLM"}, {"model", "LlamaModel"}};
  EXPECT_TRUE(contains(make_card({&adapter, 1}, facts, std::nullopt).text, "- transformers\n"));
}

TEST(ExistingCard, KeepsEveryOtherByte) {
  const std::string bom = "\xef\xbb\xbf";
  const std::string existing =
      bom +
      "---\r\n# mine\r\nlicense:   'mit' # why\r\nlibrary_name: x # old\r\n"
      "nothing: ~\r\ntags: [a, lora]\r\n\r\n---\r\n# Title \r\n\ttext\r\n";
  const CardResult result = card(existing);
  EXPECT_EQ(result.text,
            bom +
                "---\r\n# mine\r\nlicense:   'mit' # why\r\nlibrary_name: peft # old\r\n"
                "nothing: ~\r\ntags:\r\n- base_model:adapter:toy/base\r\n- lora\r\n"
                "- transformers\r\nbase_model: toy/base\r\npipeline_tag: text-generation\r\n"
                "---\r\n# Title \r\n\ttext\r\n### Framework versions\r\n\r\n- PEFT 0.21.2");
  EXPECT_TRUE(has_rule(result.findings, "MC-6", Severity::kNote)) << "the tag a is gone";
  EXPECT_FALSE(card(result.text).changed);
}

TEST(ExistingCard, WithoutFrontMatterGetsSome) {
  const CardResult result = card("# Mine\n- PEFT 0.21.2\n");
  EXPECT_EQ(result.text, "---\n" + std::string(kFrontMatter) + "\n---\n# Mine\n- PEFT 0.21.2\n");
  EXPECT_FALSE(card(result.text).changed);
}

TEST(ExistingCard, KeepsItsPipelineTag) {
  const CardResult kept = card("---\npipeline_tag: summarization\n---\n");
  EXPECT_TRUE(contains(kept.text, "pipeline_tag: summarization\n"));
  const CardResult filled = card("---\npipeline_tag: # which?\n---\n");
  EXPECT_TRUE(contains(filled.text, "pipeline_tag: text-generation # which?\n"));
}

TEST(ExistingCard, GetsTheFrameworkLineWherePeftPutsIt) {
  const std::string front = "---\n" + std::string(kFrontMatter) + "\n---\n";
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"### Framework versions\n\n- PEFT 0.9.0\n- Torch\n",
       "### Framework versions\n\n- PEFT 0.21.2\n- PEFT 0.9.0\n- Torch\n"},
      {"x", "x\n### Framework versions\n\n- PEFT 0.21.2"},
      {"x\n", "x\n### Framework versions\n\n- PEFT 0.21.2"},
      {"### Framework versions", "### Framework versions\n- PEFT 0.21.2"},
      {"x\n- PEFT 0.21.2\ny", "x\n- PEFT 0.21.2\ny"},
      {" - PEFT 0.21.2\n", " - PEFT 0.21.2\n### Framework versions\n\n- PEFT 0.21.2"},
  };
  for (const auto& [before, after] : cases) {
    EXPECT_EQ(card(front + std::string(before)).text, front + std::string(after)) << before;
  }
}

TEST(ExistingCard, IsLeftAloneWhereItCannotBeRead) {
  using namespace std::string_literals;
  const std::pair<std::string, std::string_view> cases[] = {
      {"---\na: [\n---\ntext", "MC-4"},
      {"---\n- a\n---\ntext", "MC-4"},
      {"---\n{a: 1}\n---\ntext", "MC-7"},
      {"---\nlibrary_name: &x a\nb: *x\n---\ntext", "MC-7"},
      {"text \xff", "MC-2"},
      {"text \0"s, "MC-2"},
      {"\x89PNG\r\n\x1a\n", "MC-2"},
      {"\xff\xfe-\0-\0-\0"s, "MC-2"},
      {"---\na: \x1b\n---\n", "MC-2"},
      {"---\na: " + std::string(format::kMaxFrontMatterBytes, 'a') + "\n---\n", "MC-1"},
      {std::string(format::kMaxCardBytes + 1, 'a'), "MC-1"},
      {"---\na: " + std::string(500000, '[') + "\n---\n", "MC-4"},
  };
  for (const auto& [text, rule] : cases) {
    const CardResult result = card(text);
    EXPECT_FALSE(result.changed) << rule;
    EXPECT_TRUE(result.text == text) << rule;
    EXPECT_TRUE(has_rule(result.findings, rule, Severity::kWarning)) << text.substr(0, 40);
    EXPECT_TRUE(has_rule(check_card(text, "README.md"), rule, Severity::kWarning) || rule == "MC-7")
        << text.substr(0, 40);
  }
}

TEST(GeneratedPart, IsMadeAnewWhileNobodyEditedIt) {
  const std::string first = card(std::nullopt).text + "\n\nMine, below.\n";
  const AdapterConfig other = config(R"({"peft_type": "LORA", "r": 64, "task_type": "CAUSAL_LM"})");
  const CardAdapter adapter = adapter_of(other);
  const CardResult second = make_card({&adapter, 1}, facts_of("toy/base"), first);
  EXPECT_TRUE(contains(second.text, "| Rank | 64 |"));
  EXPECT_FALSE(contains(second.text, "| Rank | 8 |"));
  EXPECT_TRUE(contains(second.text, "\n\nMine, below.\n"));
  EXPECT_EQ(make_card({&adapter, 1}, facts_of("toy/base"), second.text).changed, false);
}

TEST(GeneratedPart, StaysOnceAPersonEditedIt) {
  std::string edited = card(std::nullopt).text;
  edited.insert(edited.find("One adapter"), "My words. ");
  const AdapterConfig other = config(R"({"peft_type": "LORA", "r": 64, "task_type": "CAUSAL_LM"})");
  const CardAdapter adapter = adapter_of(other);
  const CardResult result = make_card({&adapter, 1}, facts_of("toy/base"), edited);
  EXPECT_EQ(result.text, edited);
  EXPECT_TRUE(has_rule(result.findings, "MC-9", Severity::kNote));
}

TEST(CheckCard, WarnsAndNeverRefuses) {
  struct Case {
    std::string_view text;
    std::string_view rule;
    Severity severity;
  };
  const Case cases[] = {
      {"---\nbase_model: /data/llama\n---\n", "MC-5", Severity::kWarning},
      {"---\nbase_model: ''\n---\n", "MC-5", Severity::kWarning},
      {"---\na: 1\na: 2\n---\n", "MC-4", Severity::kWarning},
      {"---\nlibrary_name: transformers\n---\n", "MC-6", Severity::kNote},
  };
  for (const Case& c : cases) {
    const auto findings = check_card(c.text, "dir/README.md");
    ASSERT_EQ(findings.size(), 1U) << c.text;
    EXPECT_TRUE(has_rule(findings, c.rule, c.severity)) << c.text;
    EXPECT_EQ(findings[0].path, "dir/README.md");
    EXPECT_FALSE(has_error(findings));
  }
}

TEST(CheckCard, NamesTheRuleThatAMalformedCardBreaks) {
  std::size_t cards = 0;
  const std::filesystem::path folder = std::filesystem::path(FERRULE_TEST_DATA) / "malformed";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.compare(0, 3, "MC-") != 0) continue;
    ++cards;
    const std::string rule = "MC-" + std::to_string(std::stoi(name.substr(3, 2)));
    const auto findings = check_card(test::read_file(entry.path()), name);
    ASSERT_EQ(findings.size(), 1U) << name;
    EXPECT_EQ(findings[0].rule, rule) << name;
    EXPECT_FALSE(has_error(findings)) << name;
  }
  EXPECT_EQ(cards, 11U);
}

TEST(CheckCard, HasNothingToSayOfAGoodCard) {
  EXPECT_TRUE(check_card(card(std::nullopt).text, "README.md").empty());
  EXPECT_TRUE(check_card("# no front matter\n", "README.md").empty());
  EXPECT_TRUE(check_card("", "README.md").empty());
}

}  // namespace
}  // namespace ferrule::adapter
