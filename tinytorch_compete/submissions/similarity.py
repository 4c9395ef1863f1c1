"""Find answers that look like copies of each other, for a person to compare; nothing is decided.

Fingerprints by winnowing (Schleimer, Wilkerson and Aiken, "Winnowing: local algorithms for document
fingerprinting", SIGMOD 2003) over Python tokens without names, values and comments, so that
renaming, reformatting and moving functions around change little.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import keyword
import token
import tokenize
from collections.abc import Mapping, Sequence

import msgspec

# Runs of fewer than GRAM tokens are common idiom; any copied run of at least GRAM + WINDOW - 1
# tokens is certain to be noticed (the paper's guarantee threshold t).
GRAM = 12
WINDOW = 6
SKIPPED = {
    token.NEWLINE,
    tokenize.NL,
    tokenize.COMMENT,
    token.INDENT,
    token.DEDENT,
    token.ENDMARKER,
}


class Pair(msgspec.Struct, frozen=True):
    """Two students, and the share of the smaller answer's fingerprints that the other also has."""

    first: str
    second: str
    share: float
    common: int


def pairs(answers: Mapping[str, str], template: str, at_least: float) -> list[Pair]:
    """Return the pairs whose answers share at least ``at_least``, the most alike first.

    ``answers`` maps a student to the text of all answer cells. Code from the template, or in more
    than half of five or more answers, is nobody's own and doesn't count.
    """
    template_prints = fingerprints(template)
    prints = {student: fingerprints(text) - template_prints for student, text in answers.items()}
    common = _common(list(prints.values()))
    own = {student: hashes - common for student, hashes in prints.items()}
    compared = (_pair(own, *names) for names in itertools.combinations(sorted(own), 2))
    alike = [pair for pair in compared if pair and pair.share >= at_least]
    return sorted(alike, key=lambda pair: (-pair.share, -pair.common, pair.first, pair.second))


def fingerprints(source: str) -> set[int]:
    """Return the winnowed hashes of a source's token runs, or of its lines if it doesn't parse."""
    words = _words(source)
    grams = [_hash(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)]
    windows = (grams[i : i + WINDOW] for i in range(max(1, len(grams) - WINDOW + 1)))
    return {min(window) for window in windows if window}


def _pair(own: Mapping[str, set[int]], first: str, second: str) -> Pair | None:
    smaller = min(len(own[first]), len(own[second]))
    if not smaller:
        return None
    common = len(own[first] & own[second])
    return Pair(first, second, common / smaller, common)


def _common(prints: Sequence[set[int]]) -> set[int]:
    """The hashes in more than half of five or more answers."""
    if len(prints) < 5:
        return set()
    values = set().union(*prints)
    return {value for value in values if 2 * sum(value in own for own in prints) > len(prints)}


def _words(source: str) -> list[str]:
    """The tokens of a source, with one word for all names, one for numbers and one for strings."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return ["".join(line.split()) for line in source.splitlines() if line.strip()]
    return [_word(item) for item in tokens if item.type not in SKIPPED]


def _word(item: tokenize.TokenInfo) -> str:
    if item.type == token.NAME and not keyword.iskeyword(item.string):
        return "name"
    return {token.NUMBER: "number", token.STRING: "string"}.get(item.type, item.string)


def _hash(words: Sequence[str]) -> int:
    return int.from_bytes(hashlib.blake2b("\0".join(words).encode(), digest_size=8).digest())
