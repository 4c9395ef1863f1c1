"""Registrations are read strictly, and found from wherever the student is."""

from __future__ import annotations

import datetime as dt
import os
import threading
from pathlib import Path

import pytest

from tinytorch_compete.errors import CompeteError, StoreError
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Receipt, Registration


def test_a_registration_is_read_as_it_was_written(tmp_path: Path) -> None:
    receipt = Receipt("ab" * 32, dt.datetime(2026, 3, 1, 23, 30, tzinfo=dt.UTC), "the exchange")
    ada = Registration("mine", "digits", "Ada Lo", hints=2, receipts=(receipt,))
    registration.write(tmp_path, ada)
    assert registration.read(tmp_path) == ada
    assert ada.sent_on(dt.date(2026, 3, 1)) == 1
    assert ada.sent_on(dt.date(2026, 3, 2)) == 0
    assert ada.shown() == Registration("mine", "digits", "Ada Lo")


@pytest.mark.parametrize(
    "text", ["", "{", '{"challenge": "a"}', '{"challenge":"a","dataset":"b","x":1}', "[" * 9999]
)
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / registration.FILE).write_text(text)
    with pytest.raises(StoreError, match=rf"{registration.FILE}: not a registration"):
        registration.read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_a_registrations_place_is_one_clear_error_and_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / registration.FILE)
    writing = threading.Thread(target=(tmp_path / registration.FILE).write_text, args=["{"])
    writing.start()  # waits for a reader
    with pytest.raises(StoreError, match="regular file"):
        registration.read(tmp_path)
    reader = os.open(tmp_path / registration.FILE, os.O_RDONLY | os.O_NONBLOCK)
    writing.join()
    os.close(reader)


@pytest.mark.parametrize("handle", ["Ada", "R2 D2", "Jo-Ann O'Hara", "Zoë", "李小龙", "x" * 24])
def test_plain_names_are_handles(handle: str) -> None:
    assert registration.check_handle(handle) == handle


@pytest.mark.parametrize(
    "handle",
    ["a", "x" * 25, "<b>x", "[red]x", "a  b", " ab", "=1+1", "a\x1b[1m", "a\u202eb", "a\nb", "a_b"],
)
def test_markup_escapes_and_long_names_are_no_handles(handle: str) -> None:
    with pytest.raises(ValueError, match=f"{registration.MAX_HANDLE} letters"):
        registration.check_handle(handle)
    with pytest.raises(ValueError, match=f"{registration.MAX_HANDLE} letters"):
        Registration("mine", "digits", handle)


def test_a_challenge_is_found_from_inside_from_above_and_from_beside(tmp_path: Path) -> None:
    for slug in ("one", "two"):
        (tmp_path / slug / "tinytorch").mkdir(parents=True)
        registration.write(tmp_path / slug, Registration(slug, "digits"))
    inside = tmp_path / "one" / "tinytorch"
    assert registration.of(inside, None)[0] == tmp_path / "one"
    assert registration.of(inside, "two")[0] == tmp_path / "two"
    assert registration.of(tmp_path, "two")[1].challenge == "two"
    with pytest.raises(CompeteError, match="which challenge"):
        registration.of(tmp_path, None)
    with pytest.raises(CompeteError, match="tito compete join three"):
        registration.of(tmp_path, "three")


def test_a_damaged_registration_does_not_affect_other_challenges(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        registration.write(tmp_path / name, Registration(name, "digits"))
    (tmp_path / "one" / registration.FILE).write_text("{")
    assert registration.of(tmp_path, "two")[1].challenge == "two"
    with pytest.raises(StoreError, match=rf"{registration.FILE}: not a registration"):
        registration.of(tmp_path, "one")
