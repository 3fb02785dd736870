// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_view.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace ferrule::format {
namespace {

using std::string_literals::operator""s;

/// A pickle whose bytes live as long as it.
class Source {
 public:
  explicit Source(std::string bytes)
      : bytes_(std::move(bytes)),
        pickle_(Pickle::read(std::as_bytes(std::span(bytes_)), {}, PicklePolicy::kTrainer).value()),
        view_(pickle_) {}
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  const PickleView* operator->() const { return &view_; }
  const PickleValue& root() const { return view_.root(); }
  const Pickle& pickle() const { return pickle_; }

 private:
  std::string bytes_;
  Pickle pickle_;
  PickleView view_;
};

constexpr std::string_view kNested = "(dS'a'\n(dS'b'\nI7\nssS'a'\nI1\ns.";

TEST(PickleView, TheLastOfTwoEqualKeysCounts) {
  const Source source{std::string(kNested)};
  EXPECT_TRUE(source->is_dict(source.root()));
  EXPECT_EQ(source->pairs(source.root()).size(), 4U);
  EXPECT_EQ(source->find(source.root(), "a")->integer, 1);
  EXPECT_FALSE(source->find(source.root(), "b"));
}

TEST(PickleView, AChainOfKeysGoesDown) {
  const Source source("(dS'a'\n(dS'b'\nI7\nss.");
  EXPECT_EQ(source->find(source.root(), {"a", "b"})->integer, 7);
  EXPECT_FALSE(source->find(source.root(), {"a", "c"}));
  EXPECT_FALSE(source->find(source.root(), {"a", "b", "c"})) << "7 is no dict";
}

TEST(PickleView, ValuesOfAnotherTypeAreNullopt) {
  const Source text("S'x'\n.");
  EXPECT_EQ(text->text(text.root()), "x");
  EXPECT_FALSE(text->count(text.root()));
  EXPECT_TRUE(text->items(text.root()).empty());
  EXPECT_TRUE(text->pairs(text.root()).empty());
  EXPECT_EQ(text->made_by(text.root()), nullptr);
  EXPECT_FALSE(text->state(text.root()));
}

TEST(PickleView, WholeNumbersOfEveryKind) {
  EXPECT_EQ(Source("I12\n.")->count(Source("I12\n.").root()), 12U);
  const Source negative("I-3\n."), whole("F4.0\n."), part("F4.5\n."), flag("\x88.");
  EXPECT_FALSE(negative->count(negative.root()));
  EXPECT_EQ(negative->integer(negative.root()), -3);
  EXPECT_EQ(whole->integer(whole.root()), 4);
  EXPECT_FALSE(part->integer(part.root()));
  EXPECT_EQ(flag->integer(flag.root()), 1);
}

TEST(PickleView, CountsComeFromTuplesListsAndSizes) {
  const Source tuple("(I2\nI3\nt."), size("ctorch\nSize\n((I2\nI3\nttR."), mixed("(I2\nS'x'\nt.");
  const std::vector<std::uint64_t> want = {2, 3};
  EXPECT_EQ(tuple->counts(tuple.root()), want);
  EXPECT_EQ(size->counts(size.root()), want);
  EXPECT_FALSE(mixed->counts(mixed.root()));
}

TEST(PickleView, AnObjectIsWhatItWasMadeOf) {
  const Source object("ccollections\nOrderedDict\n)R(dS'rank'\nI4\nsb.");
  EXPECT_TRUE(object->is_made_by(object.root(), "collections", "OrderedDict") ||
              object->is_dict(object.root()));
  // PK-21: a class that nothing is known about is a stand-in.
  const Source unknown("capp\nArguments\n)R(dS'rank'\nI4\nsb.");
  EXPECT_EQ(unknown.root().kind == PickleValue::Kind::kCall ||
                unknown.root().kind == PickleValue::Kind::kGlobal ||
                unknown.root().kind == PickleValue::Kind::kNone,
            true);
}

TEST(PickleView, PlainDataIsComparedInOrder) {
  const Source one("(dS'a'\nI1\nsS'b'\nI2\ns."), same("(dS'a'\nI1\nsS'b'\nI2\ns."),
      other("(dS'a'\nI1\nsS'b'\nI3\ns.");
  std::size_t budget = 100;
  EXPECT_TRUE(same_plain_data(one.pickle(), one.root(), same.pickle(), same.root(), budget));
  EXPECT_LT(budget, 100U);
  EXPECT_FALSE(same_plain_data(one.pickle(), one.root(), other.pickle(), other.root(), budget));
  budget = 0;
  EXPECT_TRUE(same_plain_data(one.pickle(), one.root(), other.pickle(), other.root(), budget))
      << "beyond the budget nothing is proved";
}

}  // namespace
}  // namespace ferrule::format
