"""Pseudonyms for leaderboards, derived from the course's secret."""

from __future__ import annotations

import hashlib
import hmac

# Word lists for pseudonyms: short, neutral words that sound different when read aloud.
ADJECTIVES = (
    "amber brave bright calm clever coral crisp deep eager early fair fleet fond gentle golden "
    "happy hardy keen kind light lively lucid merry mild noble olive plain polite proud quick "
    "quiet rapid ready rosy royal silver smart solid steady sunny swift tidy violet vivid warm wise"
).split()
ANIMALS = (
    "badger beaver bison crane deer dolphin eagle egret falcon finch fox gecko goose hare hawk "
    "heron ibis jay kestrel kite koala lark lemur lynx magpie marten mole moose newt otter owl "
    "panda pika plover puffin raven robin seal shrew sparrow stork swan tapir tern toad trout "
    "turtle vole whale wren yak zebra"
).split()


def handle(student: str, secret: bytes, chosen: str = "") -> str:
    """Return a pseudonym such as ``swift-heron-042``, traceable only by the holder of ``secret``.

    HMAC-SHA256 (RFC 2104) of the student's name picks the words. A name that the student chose
    takes their place and gets the same number, so that nobody can impersonate another.
    """
    digest = hmac.new(secret, student.encode(), hashlib.sha256).digest()
    number = int.from_bytes(digest[:8])
    number, adjective = divmod(number, len(ADJECTIVES))
    number, animal = divmod(number, len(ANIMALS))
    return f"{chosen or f'{ADJECTIVES[adjective]}-{ANIMALS[animal]}'}-{number % 1000:03d}"
