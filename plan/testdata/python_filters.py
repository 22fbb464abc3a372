"""Writes python_filters.txt: what Python's fnmatch and re say about patterns and names.

One JSON list a line: kind, pattern, name, answer. The kind is "glob" (fnmatch.fnmatchcase) or
"re" (re.compile(...).match); the answer is true, false or "error". Same Python, same bytes.
Run it as: python3 python_filters.py > python_filters.txt
"""

import fnmatch
import json
import random
import re
import warnings

warnings.simplefilter("ignore")  # re warns of sets that may change their meaning

NAMES = [
    "", "a", "b", "]", "[", "-", "!", "^", "a/b", "a/b/c", "myRepo", "myRepo/a", "myRepo/a/a", "myRepo/a/b", "myrepo/a",
    "xrepo/a", "repo/", "x/foo", "foo", "foo/bar", "foobar", "aa", "aba", "abab", "v1.2.3", "team-1/app_2", "9to5",
    "library/nginx", "a.b", "axb", "a[b", "a]b", "a-b", "a{,2}", "aaa", "aaaa", "A", "Z", "xx", "xyx", "10", "a0", "\u00e9/x",
]

GLOBS = [
    "", "*", "**", "?", "??", "a*", "*a", "*/*", "*/*/*", "myRepo/*", "myRepo/*/*", "*repo/*", "MYREPO/*", "a?b", "a.b", "[ab]",
    "[!ab]", "[a-c]", "[!a-c]", "[]]", "[!]]", "[]-a]", "[", "[a", "a[b", "[!", "[!]", "[]", "[a-]", "[-a]", "[!-a]", "[c-a]",
    "[!c-a]", "[c-ab]", "[a-c-e]", "[--a]", "[a--c]", "[^a]", "[!^a]", "[[]", "a[[]b", "a[]]b", "a[-]b", "[\\]", "\\*", "a{,2}",
    "v[0-9].*", "team-?/app_*", "*[0-9]", "RE:foo", "re:foo*", "[&&a]", "[a||b]", "*a*b*", "*/", "/*", "(a)", "a|b", "$", "^a",
    "[\u00e0-\u00ef]/?", "\u00e9/*", "?/x",
]

EXPRESSIONS = [
    "", "foo", "^foo", "foo$", "^foo$", "bar", ".*bar", "foo|bar", "x/foo|foo", "(foo|a)/", "a{1,3}$", "^(a|b){1,3}$", "a{,2}$",
    "a{2,}$", "a{,}b", "a{2}$", "a{,2", "a{}", "{,2}", r"^myRepo/([^/]+)/\1$", r"(a)(b)\2", r"(a)(b)\1", r"(?P<x>a)(b)\1\2$",
    r"(?P<x>a)(?P<y>b)(?P=x)", r"(b)?(?P<x>a)\2", r"(?P<x>.)(?:y)(?P=x)", "(?P=x)", r"\1", r"(a)\2", "(?i)A$", "(?i)myrepo", "a(?i)b",
    "(?i:A)/b", "(?s).*", "(?m)^a$", "(?x) a  b", "(?#note)foo", "foo(?#note)bar", "(?=foo)f", "(?!foo)", "(?!foo).", "(?<=x)f",
    "(?<!x)f", ".*(?<=/)b", "(?>a+)b", "(a)?(?(1)b|x)", "(?P<q>a)?(?(q)/|f)", r"\Afoo", r"foo\Z", r"foo\z", r"\w+$", r"\W", r"\d+",
    r"\D+$", r"\s", r"\S+$", r"\bfoo\b", r"a\Bb", r"a\.b", r"a\/b", r"a\-b", r"\_", "[a-c]+$", "[^a-c]+$", "[]]", "[]a]+$", "[^]]$",
    "[[]", "a[[]b", "a[]]b", "[a[b]$", "[a-]$", "[-a]$", "[a-z-[b]]", r"[\w/]+$", r"[^\w]", r"[\]]", r"[\[]", r"[\-a]$", "[", "[a", "(", ")",
    "a)", "(a", "*", "+a", "?", "a**", "a{2}{2}", "a{2,1}", r"\Q", r"\Qa\E", r"\pL", r"\h", r"\x61", r"\x6", r"\141", r"[\141]", r"\061\060", r"\0",
    r"[\b]", r"\u0061", r"(?P<1>a)", "(?P<a>x)(?P<a>y)", "(?<n>a)", "(?U)a", "(?:a|b)+$", "(?:a(?:b(a)))", ".+/.+", "^[^/]+$", "[^/]+/[^/]+$",
    "^$", "$", "^", "|", "()", "a||b", r"v\d+\.\d+\.\d+$", r"v[0-9]+", "(a*)*b", "(?:a|aa)+$", "\u00e9", "[\u00e0-\u00ef]/x", r"(.)(.)\2\1$",
    r"(.).\1$", r"(.)\1$", r"(1)(0)?\g", r"a\z", r"(a)\10", "a{0,2}b", r"(?P<n>a)\1*$", "[a-\\d]", "[z-a]",
    "a\\", "[a\\", r"\400", r"[\1]", r"[\400]", r"[\n\t]", r"[\Q]", "[^", "(?P<a>", "(?P=a", "(?", "(?P>", "(?P<>a)", "(?i)(?s)A", "(?is)A$", "(?i)(?-i:A)",
    "(?-i)a", "(?a)a", "(?L)a", "(?u)a", "(?i-s:A)", "(?<=a|b)", "^*", "$+", r"\b{2}", "a$?", "^a{", "^{", "x*?y", "a{1,2}?", "a{,2}?b", "[a{,2}]", r"\{,2}", "(?:a){,2}$",
    "[[:alpha:]]", "[a&&b]", "[a~~b]", "[a--b]", "(?P<\u00e9>a)(?P=\u00e9)", r"(a)(?P<q>b)?(?(2)/|c)", "(?(1)a|b)", "(?(0)a|b)", "(?(q)a)", "a|*", "(|a)b", "(?:)",
]


def answer(kind, pattern, name):
    if kind == "glob":
        return fnmatch.fnmatchcase(name, pattern)
    try:
        return re.compile(pattern).match(name) is not None
    except re.error:
        return "error"


def rows():
    for pattern in GLOBS:
        for name in NAMES:
            yield "glob", pattern, name
    for pattern in EXPRESSIONS:
        for name in NAMES:
            yield "re", pattern, name
    rng = random.Random(8)
    for _ in range(600):
        # No "!" inside: Python 3.11 takes the one after an empty range for a negation.
        pattern = "".join(rng.choice("ab/*?[]-c") for _ in range(rng.randint(1, 7)))
        yield "glob", pattern, "".join(rng.choice("abc/-[]") for _ in range(rng.randint(0, 5)))
    for _ in range(600):
        pattern = "".join(rng.choice(["a", "b", "/", ".", "*", "+", "?", "|", "(", ")", "[ab]", "[^a]", "{1,2}", "{,2}", "^", "$"]) for _ in range(rng.randint(1, 7)))
        yield "re", pattern, "".join(rng.choice("ab/") for _ in range(rng.randint(0, 5)))


for row in rows():
    print(json.dumps([*row, answer(*row)]))
