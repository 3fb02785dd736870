# SPDX-License-Identifier: Apache-2.0
"""Our regular expressions against Python's `re`: same verdict for every pattern and text."""

import random
import re
import sys
import warnings

from oracle import ask, report

PATTERNS = r"""
q_proj|v_proj|.*\.q_proj|.*(q|v)_proj$|^model\.layers\.\d+\.self_attn\.(q|k)_proj|[^\.]*\.mlp
model\.layers\.(?!0\.)\d+\..*|(?:.*\.)?(?:q_proj|k_proj)|.*\.(?P<which>q|v)_proj|(?P<a>.)(?P=a)
.*layers\.([0-9]|1[0-5])\..*|(a)\1|\1(a)|(a\1)|(?:a{2,3}?b)+|a{,2}b|a{2}|a{|a{}|a{b}|a{1,b|a{,}|{1}|a{3,2}|x{|
(?i)Q_PROJ|a(?i)b|(?i:Q)_proj|(?s).*x|(?m)^layers|(?m)x$|(?x) q _ proj # comment|(?x:a b)c d|(?ix)Q \  P
\bq_proj\b|\Bproj|\AModel|\Amodel|proj\Z|proj$|\w+\.\d+|\W|\S+|\s|[\w.]+|[\d\.]+|[^\W_]+|[\S]+|[^\S]|\D+
[a-z_.]*|[]a]+|[^]a]+|[a\-z]+|[a-]+|[-a]+|[\]]+|[z-a]|[a-\d]|[|[]|[^]|[\b]|[[:alpha:]]+|[a&&b]+|[\x41-\x5a]+
(?=model).*|(?!model).*|(?<=\.)q|(?<=^)m|(?<=a|b)c|(?<=ab|c)d|(?<=a+)b|(?<!\.)proj|(?<=(a))b|(?<=(a)\1)b|(?<=a{2})b
a**|a*+|a++|a?+b|a*?|(?>a+)a|(?>ab|a)c|a{2}+|^*|\b+|$?|*a|+|?|(*a)|(?:)*|(?=a)*|()+|(a|)+
(|)|())|(?|(?P|(?P<|(?P<1>a)|(?P<a b>c)|(?P<n>a)(?P<n>b)|(?P=n)|(?P>n)|(?<n>a)|(?'n'a)|(?#comment)a|(?#open|a(?#x)*
(a)?(?(1)b|c)|(?P<n>a)?(?(n)b|c)|(?(1)a)(b)|(?(2)a)(b)|(a)(?(1)b|c|d)|(?(0)a)|(?(x)a)|(?(1a)
\d|\Q.\E|\z|\G|\K|\R|\h|\X|\p{L}|\e|\o{101}|\c1|\y|\-|\.|\_|\é|é+|[é-ü]+|\u00e9|\xe9|\x4|\u12|\U0001F600|\U00110000|\0|\01|\07|\101|\400|\8|\10
.|..|a.c|.*|.+?|(.)\.(.)|(?-i:a)|(?i-i:a)|(?i-:a)|(?-:a)|(?:a|(?i:b))|(?a)\w+|(?a:\w)+|(?u)\w|(?au)x|(?L)x|(?iL:x)|(?a-i:x)|(?-a:x)
((((a))))|(a(b(c)d)e)|a|ab|abc|a|b|(?:(?:(?:a)))|[.]|[.*+]|\*|\+|a\|b|\\|\
(?a)\bé|(?a)[^\w]|(?a)[\W]|(?a)[\S]|(?i)É|(?i)straße|(?i)[k]|(?i)ſ|(?:(?i)a)|(?i)(?m)x|(?m)^$|\B|
""".strip("\n").split("\n")
# '|' joins patterns in the table above and is part of some of them: those stand here.
WHOLE = [
    r"q_proj|v_proj", r".*(q_proj|v_proj)", r"(?:a|b)|c", r"a||b", r"|", r"a|(?i)b", r"(?x)a|b # c|d",
    r"(?:model\.)?layers\.\d+\.(?:self_attn|mlp)\.(?:q_proj|up_proj)", r"(?<=a|b)c", r"(?<=ab|c)d",
    r"(?(1)a|b)", r"(a)?(?(1)b|c)", r"(a)|b\1", r"(?:(a)|b)\1", r"(a|ab)(c|bcd)(d*)", "a\nb", "a.b", "^b", "(?m)^b",
    "a$", "(?m)a$", r"a\Z", "(?s)a.b", "[\n]", "\t", r"\t", r"\v", r"[\v]", r"\a", r"\f", "a#b", "(?x)a#b", "(?x)a\\#b",
    r"(?x)[a b]+", "(?x)a\n  b", r"(?x)a {2}", r"(?x)a{ 2}", r"(?x)a* ?", r"(?x)( ?:a)", r"^(?!.*vision).*\.q_proj$",
    r"^(?:(?!vision_tower).)*\.(?:q_proj|k_proj|v_proj)$", r"(.*\.)?(layers.1)$", r"(.*\.)?((?i)q)$",
    r"(.*\.)?(^model.layers.0.self_attn.q_proj)$", r"(.*\.)?(q|v)$", r"(^|.*\.)lm_head($|\..*)",
    "(" * 60 + "a" + ")" * 60, "(?:a?){20}a{20}", "(a+)+", r"\N{LATIN SMALL LETTER A}",
]
# Not in the tables, because Python itself is at odds: `(?a:[\\W])` searches "é" in vain and matches it
# (3.11 forgets the local flag where it looks for the first character), and `(?i)ı` matches "i".
TEXTS = [
    "", "a", "b", "c", "ab", "ba", "aa", "aab", "aaa", "abc", "acd", "bc", "bd", "aabb", "q", "k", "K", "K", "x", "x\n",
    "q_proj", "v_proj", "model.layers.0.self_attn.q_proj", "model.layers.11.self_attn.q_proj", "layers.1", "a\n", "a\nb",
    "model.layers.1.mlp.up_proj", "vision_tower.layers.0.q_proj", "lm_head", "lm_head.weight", "model.lm_head", "\n",
    "Q_PROJ", "é", "É", "straße", "STRASSE", "ſ", "s", "ı", "i", "İ", "𝟘", "٣", "\x1c", "\x85", "\xa0", "\u2028", "_", "-",
    "]", "[", "{", "a{", "a{}", "a{b}", "{1}", "a{1,b", "\\", "|", "*", "+", ".", "..", "a.b", "a#b", "a b", " ", "\t", "\v",
    "\x07", "\x08", "\x0c", "\0", "\x01", "A", "Z", "😀", ":", "alpha", "cd", "ad", "aba", "aaaa", "axb", "(", ")", "&",
]


# Python has no step limit: what is grown at random meets short texts only.
SHORT = [text for text in TEXTS if len(text) <= 6]


#: Possessive repeats of groups match wrongly, or raise SystemError, before 3.11.5 (gh-106052; Debian 12 has 3.11.2): no
#: verdict there.
BROKEN = object()
POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{[^}]*\})\+")
ENGINE_IS_OLD = sys.version_info < (3, 11, 5)


def verdicts(pattern: str, texts: list[str]):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return None
    if ENGINE_IS_OLD and POSSESSIVE_GROUP.search(pattern):
        return BROKEN
    try:
        return [[call(text) is not None for call in (compiled.fullmatch, compiled.match, compiled.search)]
                for text in texts]
    except SystemError:
        return BROKEN


def random_patterns(count: int) -> list[str]:
    """Seeded: the same patterns every run."""
    source = random.Random(20260824)
    pieces = ["a", "b", "q", ".", "\\.", "\\d", "\\w", "\\b", "^", "$", "*", "+", "?", "{2}", "{1,2}", "{,1}", "|", "(", ")",
              "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?P<n>", "(?P=n)", "\\1", "[ab]", "[^a]", "[a-", "]", "[", "-",
              "(?i)", "(?i:", "(?x:", " ", "#", "\\", "{", "}", ",", "(?(1)", "\\s", "\\Z", "\\B", "é", "\\W", "[\\W", "0"]
    return ["".join(source.choices(pieces, k=source.randint(1, 9))) for _ in range(count)]


def random_valid(source: random.Random, depth: int) -> str:
    """Mostly valid: grown by the grammar."""
    atoms = ["a", "b", "q", ".", r"\.", r"\d", r"\w", r"\W", r"\S", r"\b", "^", "$", "[ab]", "[^a.]", r"[\w.]", r"[^\s]", "_",
             "proj", "layers", r"\Z", "é", "(?#x)", "{", "-"]
    groups = ["(", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?s-i:", "(?x: "]
    repeats = ["*", "+", "?", "{2}", "{1,2}", "{,1}", "{2,}", "*?", "+?", "??", "*+", "++", "{1,2}+"]
    out = []
    for _ in range(source.randint(1, 4)):
        if depth and source.random() < 0.35:
            piece = source.choice(groups) + random_valid(source, depth - 1) + ")"
        else:
            piece = source.choice(atoms)
        if source.random() < 0.3:
            piece += source.choice(repeats)
        out.append(piece)
        if source.random() < 0.15:
            out.append("|")
    if source.random() < 0.05:
        out.append(r"\1")
    return "".join(out)


def main(oracle: str) -> int:
    patterns = [part for line in PATTERNS for part in line.split("|")] + PATTERNS + WHOLE
    source = random.Random(20260825)
    grown = random_patterns(3000) + [random_valid(source, 2) for _ in range(5000)]
    cases = {**dict.fromkeys(grown, SHORT), **dict.fromkeys(patterns, TEXTS)}
    answers = ask(oracle, [{"pattern": pattern, "texts": texts} for pattern, texts in cases.items()])
    failures, unsupported, valid, broken = [], [], 0, 0
    for (pattern, texts), answer in zip(cases.items(), answers):
        expected = verdicts(pattern, texts)
        if expected is BROKEN:
            broken += 1
            continue
        valid += expected is not None
        if expected is None:
            if answer.get("rule") != "CF-20":
                failures.append(f"{pattern!r}: Python refuses it, we say {str(answer)[:100]}")
        elif "rule" in answer:
            (unsupported if answer["rule"] == "CF-21" else failures).append(f"{pattern!r}: {answer}")
        elif answer["rows"] != expected:
            at = next(i for i, row in enumerate(expected) if answer["rows"][i] != row)
            failures.append(f"{pattern!r} on {texts[at]!r}: Python {expected[at]}, we {answer['rows'][at]}")
    for line in unsupported:
        print("unsupported", line)
    # A bound, so that what we cannot run stays the exception.
    if len(unsupported) > 20:
        failures.append(f"{len(unsupported)} valid patterns are not supported")
    if broken > (500 if ENGINE_IS_OLD else 0):
        failures.append(f"Python's own engine breaks on {broken} patterns")
    print(f"{valid} valid patterns, {len(cases) - valid - broken} invalid, {broken} on which Python itself breaks")
    return report("regular expressions", sum(map(len, cases.values())), failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
