"""Team names that look the same to a reader, and the invite words that admit members."""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
import unicodedata

# Small Cyrillic and Greek letters that look like Latin ones, small or capital, and digits that look
# like letters. Source: Unicode Technical Standard 39, confusables.txt, as far as handles allow.
LOOKALIKES = str.maketrans(
    "авекмнорстухіјѕһԁԛԝӏпгα" + "βεζηικμνορτυχγω" + "01i",
    "abekmhopctyxljshdqwlnra" + "bezhlkmnoptyxyw" + "oll",
)
SEPARATORS = re.compile(r"[ .'-]")
WORD = re.compile(r"[^\W_](?:[ .'-]?[^\W_]){5,39}")
MAX_WORD = 40
# Words that students make up can be guessed offline from a copied key; this makes a guess slow.
ROUNDS = 100_000


def alike(name: str) -> str:
    """Return a key that is equal for names that a reader would mistake for each other.

    Case, accents, width, separators and letters that look alike make no difference.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    letters = "".join(char for char in plain if not unicodedata.combining(char))
    return SEPARATORS.sub("", letters).casefold().translate(LOOKALIKES)


def check_word(word: str) -> str:
    """Return the invite word as compared; raises ``ValueError`` unless it is short and plain."""
    composed = unicodedata.normalize("NFKC", word.strip()).casefold()
    if len(composed) > MAX_WORD or not WORD.fullmatch(composed):
        raise ValueError(
            f"an invite word is 6 to {MAX_WORD} letters and digits, with single spaces, dots, "
            "hyphens or apostrophes between them"
        )
    return composed


def new_word() -> str:
    """Return an invite word that nobody can guess: 48 random bits."""
    return "-".join(secrets.token_hex(2) for _ in range(3))


@functools.lru_cache(maxsize=1000)
def key(challenge: str, name: str, word: str) -> str:
    """Return the key that is sent in place of an invite word: 32 hexadecimal digits.

    Equal for equal words and names that are alike, within one challenge. PBKDF2 (RFC 8018).
    """
    salt = f"tinytorch-compete\0{challenge}\0{alike(name)}".encode()
    return hashlib.pbkdf2_hmac("sha256", check_word(word).encode(), salt, ROUNDS, 16).hex()
