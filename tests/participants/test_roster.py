"""Teams and privacy follow from each student's own registration alone."""

from __future__ import annotations

import re

import msgspec
import pytest
from support.registrations import SIZE, registered, result_at

from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.participants import registration, roster, teams
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.participants.roster import Roster, enrol


def points(enrolled: Roster, *latest: Result) -> dict[str, float | None]:
    return {r.identity.student: r.points for r in roster.counted(enrolled, latest)}


def test_students_who_name_a_team_and_know_its_word_are_in_it() -> None:
    enrolled = enrol(
        Roster(), [registered("ada", "Rocket"), registered("bob", "Rocket", hours=1)], SIZE
    )
    assert enrolled.side("ada") == ["ada", "bob"]
    assert "1 more" in roster.note(enrolled, "ada")


@pytest.mark.parametrize("word", ["guessed it", "open sesame "[:-2], "OPEN-SESAME", ""])
def test_a_wrong_word_or_none_lets_nobody_in_and_that_is_said(word: str) -> None:
    mallory = registered("mallory", "Rocket", word, 1)
    enrolled = enrol(Roster(), [mallory, registered("ada", "Rocket")], SIZE)
    assert enrolled.side("ada") == ["ada"]
    assert enrolled.side("mallory") == ["mallory"]
    assert "word" in enrolled.of("mallory").refused
    assert re.search(r"^You are not .* Rocket\b", roster.note(enrolled, "mallory"))


def test_the_word_is_told_by_voice_so_its_case_does_not_matter() -> None:
    registrations = [registered("ada", "Rocket"), registered("bob", "rocket", "Open Sesame", 1)]
    assert enrol(Roster(), registrations, SIZE).side("bob") == ["ada", "bob"]


@pytest.mark.parametrize(
    "name", ["rocket", "ROCKET", "Rock et", "R.o-c'ket", "R0cket", "Rосkеt", "Ｒocket", "Röcket"]
)
def test_a_name_that_looks_like_a_team_is_that_team_and_asks_for_its_word(name: str) -> None:
    assert teams.alike(name) == teams.alike("Rocket")
    registrations = [registered("ada", "Rocket"), registered("mallory", name, "my own word", 1)]
    enrolled = enrol(Roster(), registrations, SIZE)
    assert list(enrolled.teams) == [teams.alike("Rocket")]
    assert "taken" in enrolled.of("mallory").refused


@pytest.mark.parametrize("name", ["Rockets", "Pocket", "Rakete", "李小龙"])
def test_another_name_is_another_team(name: str) -> None:
    assert teams.alike(name) != teams.alike("Rocket")


def test_the_first_to_send_founds_a_team_whatever_the_order_of_names() -> None:
    registrations = [
        registered("aaron", "Rocket", "stolen name", 5),
        registered("zoe", "Rocket", hours=4),
    ]
    enrolled = enrol(Roster(), registrations, SIZE)
    assert enrolled.teams[teams.alike("Rocket")].founder == "zoe"
    assert enrolled.side("aaron") == ["aaron"]


def test_a_forged_time_steals_no_name_that_the_course_has_seen() -> None:
    enrolled = enrol(Roster(), [registered("zoe", "Rocket", hours=4)], SIZE)
    enrolled = enrol(enrolled, [registered("aaron", "Rocket", "stolen name", -9000)], SIZE)
    assert enrolled.side("zoe") == ["zoe"]
    assert enrolled.of("aaron").refused


def test_nobody_is_in_a_team_by_another_students_registration() -> None:
    enrolled = enrol(Roster(), [registered("ada", "Rocket"), registered("bob")], SIZE)
    assert enrolled.side("bob") == ["bob"]
    forged = b'{"challenge":"mine","dataset":"digits","team":"Rocket","members":["bob"]}'
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(forged, type=Registration)


def test_a_full_team_takes_no_more_until_somebody_leaves() -> None:
    names = ("ada", "bob", "cyd", "dan")
    registrations = [registered(name, "Rocket", hours=n) for n, name in enumerate(names)]
    enrolled = enrol(Roster(), registrations, SIZE)
    assert enrolled.members(teams.alike("Rocket")) == ["ada", "bob", "cyd"]
    assert "3 members" in enrolled.of("dan").refused
    enrolled = enrol(enrolled, [registered("ada", hours=9), registrations[-1]], SIZE)
    enrolled = enrol(enrolled, registrations[1:], SIZE)
    assert enrolled.members(teams.alike("Rocket")) == ["bob", "cyd", "dan"]


def test_a_challenge_without_teams_has_none() -> None:
    enrolled = enrol(Roster(), [registered("ada", "Rocket")], 1)
    assert enrolled.teams == {}
    assert "no teams" in enrolled.of("ada").refused


def test_a_team_that_all_left_keeps_its_name_and_word() -> None:
    enrolled = enrol(Roster(), [registered("ada", "Rocket")], SIZE)
    enrolled = enrol(enrolled, [registered("ada", hours=1)], SIZE)
    enrolled = enrol(enrolled, [registered("mallory", "Rocket", "my own word", 2)], SIZE)
    assert enrolled.of("mallory").refused
    enrolled = enrol(enrolled, [registered("bob", "Rocket", hours=3)], SIZE)
    assert enrolled.side("bob") == ["bob"]
    assert enrolled.of("bob").team


def test_an_older_copy_of_the_submissions_turns_nothing_back() -> None:
    old = registered("ada", "Rocket", hours=1)
    enrolled = enrol(Roster(), [old], SIZE)
    enrolled = enrol(enrolled, [registered("ada", show="nothing", hours=2)], SIZE)
    assert enrol(enrolled, [old], SIZE) == enrolled


def test_the_newest_of_a_team_counts_for_all_members() -> None:
    enrolled = enrol(Roster(), [registered("ada", "Rocket"), registered("bob", "Rocket")], SIZE)
    assert points(
        enrolled, result_at("ada", 9, 5), result_at("bob", 4, 6), result_at("eve", 1, 9)
    ) == {
        "ada": 4,
        "bob": 4,
        "eve": 1,
    }
    assert points(enrolled, result_at("bob", 4, 6)) == {"ada": 4, "bob": 4}
    fault = result_at("bob", 0, 7, Verdict.FAULT)
    assert points(enrolled, result_at("ada", 9, 5), fault) == {"ada": 9, "bob": 9}


def test_a_student_who_leaves_takes_no_points_along_and_leaves_none_behind() -> None:
    enrolled = enrol(Roster(), [registered("ada", "Rocket"), registered("bob", "Rocket")], SIZE)
    enrolled = enrol(enrolled, [registered("bob", hours=7)], SIZE)
    assert points(enrolled, result_at("ada", 9, 5), result_at("bob", 4, 7)) == {"ada": 9, "bob": 4}
    (line,) = roster.competing(enrolled, [result_at("ada", 9, 5), result_at("bob", 4, 6)])
    assert line.identity.student == "ada"


def test_submissions_from_before_joining_do_not_count_for_the_team() -> None:
    enrolled = enrol(Roster(), [registered("ada", "Rocket"), registered("bob")], SIZE)
    enrolled = enrol(enrolled, [registered("bob", "Rocket", hours=7)], SIZE)
    assert points(enrolled, result_at("ada", 9, 2), result_at("bob", 4, 5)) == {"ada": 9, "bob": 9}


def test_a_team_has_one_row_under_its_name_with_the_most_private_choice() -> None:
    def row(**bobs: object) -> roster.Competitor:
        registrations = [
            registered("ada", "Rocket", handle="Ada Lo", progress=True),
            registered("bob", "Rocket", hours=1, **bobs),
        ]
        enrolled = enrol(Roster(), registrations, SIZE)
        one, other = (roster.competitor(enrolled, "mine", name) for name in ("ada", "bob"))
        assert one == other
        return one

    assert (row().name, row().show, row().progress) == ("Rocket", "handle", False)
    assert row(progress=True).progress
    assert row(show="nothing").show == "nothing"
    assert (row(show="anonymous").name, row(show="anonymous").show) == ("", "anonymous")


def test_a_team_never_has_a_students_pseudonym() -> None:
    enrolled = enrol(Roster(), [registered("ada", "Rocket")], SIZE)
    ids = {roster.competitor(enrolled, "mine", name).id for name in ("ada", "Rocket", "rocket")}
    assert len(ids) == 3


@pytest.mark.parametrize(
    "name",
    ["<b>Rocket", "=1+1", "Ro\x1b[31mcket", "x" * 25, "Ro\ncket", "\u3164\u3164", "[red]x", "ﾞﾟ"],
)
def test_names_that_markup_or_sheets_would_obey_are_no_teams(name: str) -> None:
    with pytest.raises(ValueError, match=f"{registration.MAX_HANDLE} letters"):
        Registration("mine", "digits", team=name)


def test_the_invite_word_is_never_sent_and_its_key_does_not_reveal_it() -> None:
    own = Registration("mine", "digits", team="Rocket", word="open sesame")
    sent = own.shown()
    assert "sesame" not in msgspec.json.encode(sent).decode()
    assert sent.shown() == sent
    assert sent.key == teams.key("mine", "ROCKET", "Open Sesame")
    assert sent.key != teams.key("other", "Rocket", "open sesame")
    assert sent.key != teams.key("mine", "Pocket", "open sesame")


def test_generated_invite_words_differ_and_are_valid() -> None:
    words = {teams.new_word() for _ in range(50)}
    assert len(words) == 50
    assert all(teams.check_word(word) == word for word in words)


def test_staff_can_hide_a_student_until_another_registration_is_sent() -> None:
    public = registered("ada", handle="Ada Lo", progress=True)
    enrolled = roster.private(enrol(Roster(), [public], SIZE), "ada")
    assert enrolled.of("ada").show == "nothing"
    assert enrol(enrolled, [public], SIZE) == enrolled
    assert enrol(enrolled, [registered("ada", hours=1)], SIZE).of("ada").show == "handle"


def test_what_staff_hid_stays_hidden_while_the_same_registration_asks_for_its_team_again() -> None:
    founder, refused = (
        registered("ada", "Rocket"),
        registered("bob", "Rocket", "guessed it", 1, handle="Bob B"),
    )
    enrolled = roster.private(enrol(Roster(), [founder, refused], SIZE), "bob")
    enrolled = enrol(enrolled, [founder, refused], SIZE)
    assert (enrolled.of("bob").handle, enrolled.of("bob").show) == ("", "nothing")
    assert enrolled.of("bob").refused
    assert (
        enrol(enrolled, [registered("bob", hours=2, handle="Bob B")], SIZE).of("bob").show
        == "handle"
    )


def test_the_longest_registration_is_not_flagged() -> None:
    from tinytorch_compete.grading.pipeline import MAX_PLAIN_REGISTRATION

    wide = "𝒜" * registration.MAX_HANDLE
    who = Registration("a" * 60, "shapes32", wide, team=wide, word="open sesame", show="anonymous")
    text = msgspec.json.format(msgspec.json.encode(who.shown()), indent=2)
    assert len(text) <= MAX_PLAIN_REGISTRATION


def test_students_who_asked_not_to_be_shown_are_in_nobodys_comparison() -> None:
    registrations = [
        registered("ada", show="nothing"),
        registered("bob", show="anonymous"),
        registered("cyd"),
    ]
    enrolled = enrol(Roster(), registrations, SIZE)
    results = roster.sharing(
        enrolled, "mine", [result_at(name, 1, 0) for name in ("ada", "bob", "cyd")]
    )
    assert [r.identity.student for r in results] == ["bob", "cyd"]
