"""Teams by name: which names are the same to a reader, and the word that lets somebody in."""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
import unicodedata

# Small Cyrillic and Greek letters that look like Latin ones, small or capital, and what digits are
# taken for. Source: Unicode Technical Standard 39, confusables.txt, the part that handles can hold.
LOOKALIKES = str.maketrans(
    "авекмнорстухіјѕһԁԛԝӏпгα" + "βεζηικμνορτυχγω" + "01i",
    "abekmhopctyxljshdqwlnra" + "bezhlkmnoptyxyw" + "oll",
)
SEPARATORS = re.compile(r"[ .'-]")
WORD = re.compile(r"[^\W_](?:[ .'-]?[^\W_]){5,39}")
MAX_WORD = 40
# Words that students make up are guessed offline from a copied entry; this is what a guess costs.
ROUNDS = 100_000


def alike(name: str) -> str:
    """What is equal for names that a reader takes for the same one; in no other script than it was.

    Case, accents, width, separators and letters that look alike make no difference.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    letters = "".join(char for char in plain if not unicodedata.combining(char))
    return SEPARATORS.sub("", letters).casefold().translate(LOOKALIKES)


def check_word(word: str) -> str:
    """The invite word as it is compared; raises ``ValueError`` unless it is short and plain."""
    composed = unicodedata.normalize("NFKC", word.strip()).casefold()
    if len(composed) > MAX_WORD or not WORD.fullmatch(composed):
        raise ValueError(
            f"an invite word is 6 to {MAX_WORD} letters and digits, with single spaces, dots, "
            "hyphens or apostrophes between them"
        )
    return composed


def new_word() -> str:
    """An invite word that nobody guesses: 48 random bits."""
    return "-".join(secrets.token_hex(2) for _ in range(3))


@functools.lru_cache(maxsize=1000)
def key(challenge: str, name: str, word: str) -> str:
    """What goes to the course in place of an invite word: 32 hexadecimal digits.

    Equal for equal words and names that are alike, in one challenge. PBKDF2 (RFC 8018).
    """
    salt = f"tinytorch-compete\0{challenge}\0{alike(name)}".encode()
    return hashlib.pbkdf2_hmac("sha256", check_word(word).encode(), salt, ROUNDS, 16).hex()
