"""Who is in which team, and what is shared: decided from each student's own entry alone."""

from __future__ import annotations

import msgspec
import pytest
from support.registrations import SIZE, result_at, said

from tinytorch_compete.model import Result, Verdict
from tinytorch_compete.participants import registration, roster, teams
from tinytorch_compete.participants.registration import Registration
from tinytorch_compete.participants.roster import Roster, enrol


def points(known: Roster, *latest: Result) -> dict[str, float | None]:
    return {r.identity.student: r.points for r in roster.counted(known, latest)}


def test_those_who_name_a_team_and_know_its_word_are_in_it() -> None:
    known = enrol(Roster(), [said("ada", "Rocket"), said("bob", "Rocket", hours=1)], SIZE)
    assert known.side("ada") == ["ada", "bob"]
    assert "1 more" in roster.note(known, "ada")


@pytest.mark.parametrize("word", ["guessed it", "open sesame "[:-2], "OPEN-SESAME", ""])
def test_a_wrong_word_or_none_lets_nobody_in_and_that_is_said(word: str) -> None:
    mallory = said("mallory", "Rocket", word, 1)
    known = enrol(Roster(), [mallory, said("ada", "Rocket")], SIZE)
    assert known.side("ada") == ["ada"]
    assert known.side("mallory") == ["mallory"]
    assert "word" in known.of("mallory").refused
    assert "You are not in the team Rocket" in roster.note(known, "mallory")


def test_the_word_is_told_by_voice_so_its_case_does_not_matter() -> None:
    arrivals = [said("ada", "Rocket"), said("bob", "rocket", "Open Sesame", 1)]
    assert enrol(Roster(), arrivals, SIZE).side("bob") == ["ada", "bob"]


@pytest.mark.parametrize(
    "name", ["rocket", "ROCKET", "Rock et", "R.o-c'ket", "R0cket", "Rосkеt", "Ｒocket", "Röcket"]
)
def test_a_name_that_looks_like_a_team_is_that_team_and_asks_for_its_word(name: str) -> None:
    assert teams.alike(name) == teams.alike("Rocket")
    arrivals = [said("ada", "Rocket"), said("mallory", name, "my own word", 1)]
    known = enrol(Roster(), arrivals, SIZE)
    assert list(known.teams) == [teams.alike("Rocket")]
    assert "is taken" in known.of("mallory").refused


@pytest.mark.parametrize("name", ["Rockets", "Pocket", "Rakete", "李小龙"])
def test_another_name_is_another_team(name: str) -> None:
    assert teams.alike(name) != teams.alike("Rocket")


def test_who_sent_first_founds_a_team_whatever_the_order_of_names() -> None:
    arrivals = [said("aaron", "Rocket", "stolen name", 5), said("zoe", "Rocket", hours=4)]
    known = enrol(Roster(), arrivals, SIZE)
    assert known.teams[teams.alike("Rocket")].founder == "zoe"
    assert known.side("aaron") == ["aaron"]


def test_a_forged_time_steals_no_name_that_the_course_has_seen() -> None:
    known = enrol(Roster(), [said("zoe", "Rocket", hours=4)], SIZE)
    known = enrol(known, [said("aaron", "Rocket", "stolen name", -9000)], SIZE)
    assert known.side("zoe") == ["zoe"]
    assert known.of("aaron").refused


def test_nobody_is_in_a_team_by_another_ones_entry() -> None:
    known = enrol(Roster(), [said("ada", "Rocket"), said("bob")], SIZE)
    assert known.side("bob") == ["bob"]
    forged = b'{"challenge":"mine","dataset":"digits","team":"Rocket","members":["bob"]}'
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(forged, type=Registration)


def test_a_full_team_takes_no_more_until_somebody_leaves() -> None:
    names = ("ada", "bob", "cyd", "dan")
    arrivals = [said(name, "Rocket", hours=n) for n, name in enumerate(names)]
    known = enrol(Roster(), arrivals, SIZE)
    assert known.members(teams.alike("Rocket")) == ["ada", "bob", "cyd"]
    assert "it has 3 members" in known.of("dan").refused
    known = enrol(known, [said("ada", hours=9), arrivals[-1]], SIZE)
    known = enrol(known, arrivals[1:], SIZE)
    assert known.members(teams.alike("Rocket")) == ["bob", "cyd", "dan"]


def test_a_challenge_without_teams_has_none() -> None:
    known = enrol(Roster(), [said("ada", "Rocket")], 1)
    assert known.teams == {}
    assert "has no teams" in known.of("ada").refused


def test_a_team_that_all_left_keeps_its_name_and_word() -> None:
    known = enrol(Roster(), [said("ada", "Rocket")], SIZE)
    known = enrol(known, [said("ada", hours=1)], SIZE)
    known = enrol(known, [said("mallory", "Rocket", "my own word", 2)], SIZE)
    assert known.of("mallory").refused
    known = enrol(known, [said("bob", "Rocket", hours=3)], SIZE)
    assert known.side("bob") == ["bob"]
    assert known.of("bob").team


def test_an_older_copy_of_the_submissions_turns_nothing_back() -> None:
    old = said("ada", "Rocket", hours=1)
    known = enrol(Roster(), [old], SIZE)
    known = enrol(known, [said("ada", show="nothing", hours=2)], SIZE)
    assert enrol(known, [old], SIZE) == known


def test_the_newest_of_a_team_counts_for_all_members() -> None:
    known = enrol(Roster(), [said("ada", "Rocket"), said("bob", "Rocket")], SIZE)
    assert points(
        known, result_at("ada", 9, 5), result_at("bob", 4, 6), result_at("eve", 1, 9)
    ) == {
        "ada": 4,
        "bob": 4,
        "eve": 1,
    }
    assert points(known, result_at("bob", 4, 6)) == {"ada": 4, "bob": 4}
    fault = result_at("bob", 0, 7, Verdict.FAULT)
    assert points(known, result_at("ada", 9, 5), fault) == {"ada": 9, "bob": 9}


def test_who_leaves_takes_no_points_along_and_leaves_none_behind() -> None:
    known = enrol(Roster(), [said("ada", "Rocket"), said("bob", "Rocket")], SIZE)
    known = enrol(known, [said("bob", hours=7)], SIZE)
    assert points(known, result_at("ada", 9, 5), result_at("bob", 4, 7)) == {"ada": 9, "bob": 4}
    (line,) = roster.competing(known, [result_at("ada", 9, 5), result_at("bob", 4, 6)])
    assert line.identity.student == "ada"


def test_what_was_sent_before_joining_does_not_count_for_the_team() -> None:
    known = enrol(Roster(), [said("ada", "Rocket"), said("bob")], SIZE)
    known = enrol(known, [said("bob", "Rocket", hours=7)], SIZE)
    assert points(known, result_at("ada", 9, 2), result_at("bob", 4, 5)) == {"ada": 9, "bob": 9}


def test_a_team_has_one_line_under_its_name_with_the_most_private_wish() -> None:
    def line(**bobs: object) -> roster.Competitor:
        arrivals = [
            said("ada", "Rocket", handle="Ada Lo", progress=True),
            said("bob", "Rocket", hours=1, **bobs),
        ]
        known = enrol(Roster(), arrivals, SIZE)
        one, other = (roster.competitor(known, "mine", name) for name in ("ada", "bob"))
        assert one == other
        return one

    assert (line().name, line().show, line().progress) == ("Rocket", "handle", False)
    assert line(progress=True).progress
    assert line(show="nothing").show == "nothing"
    assert (line(show="anonymous").name, line(show="anonymous").show) == ("", "anonymous")


def test_a_team_never_has_a_students_pseudonym() -> None:
    known = enrol(Roster(), [said("ada", "Rocket")], SIZE)
    ids = {roster.competitor(known, "mine", name).id for name in ("ada", "Rocket", "rocket")}
    assert len(ids) == 3


@pytest.mark.parametrize(
    "name",
    ["<b>Rocket", "=1+1", "Ro\x1b[31mcket", "x" * 25, "Ro\ncket", "\u3164\u3164", "[red]x", "ﾞﾟ"],
)
def test_names_that_markup_or_sheets_would_obey_are_no_teams(name: str) -> None:
    with pytest.raises(ValueError, match="a handle is"):
        Registration("mine", "digits", team=name)


def test_the_invite_word_stays_at_home_and_tells_nothing_of_itself() -> None:
    kept = Registration("mine", "digits", team="Rocket", word="open sesame")
    sent = kept.shown()
    assert "sesame" not in msgspec.json.encode(sent).decode()
    assert sent.shown() == sent
    assert sent.key == teams.key("mine", "ROCKET", "Open Sesame")
    assert sent.key != teams.key("other", "Rocket", "open sesame")
    assert sent.key != teams.key("mine", "Pocket", "open sesame")


def test_words_that_are_given_out_differ_and_are_words() -> None:
    words = {teams.new_word() for _ in range(50)}
    assert len(words) == 50
    assert all(teams.check_word(word) == word for word in words)


def test_staff_can_hide_a_student_until_another_entry_comes() -> None:
    challenge = said("ada", handle="Ada Lo", progress=True)
    known = roster.private(enrol(Roster(), [challenge], SIZE), "ada")
    assert known.of("ada").show == "nothing"
    assert enrol(known, [challenge], SIZE) == known
    assert enrol(known, [said("ada", hours=1)], SIZE).of("ada").show == "handle"


def test_what_staff_hid_stays_hidden_while_the_same_entry_asks_for_its_team_again() -> None:
    founder, refused = said("ada", "Rocket"), said("bob", "Rocket", "guessed it", 1, handle="Bob B")
    known = roster.private(enrol(Roster(), [founder, refused], SIZE), "bob")
    known = enrol(known, [founder, refused], SIZE)
    assert (known.of("bob").handle, known.of("bob").show) == ("", "nothing")
    assert known.of("bob").refused
    assert enrol(known, [said("bob", hours=2, handle="Bob B")], SIZE).of("bob").show == "handle"


def test_the_longest_entry_is_no_reason_to_look() -> None:
    from tinytorch_compete.grading.pipeline import ENTRY_BYTES

    wide = "𝒜" * registration.MAX_HANDLE
    who = Registration("a" * 60, "shapes32", wide, team=wide, word="open sesame", show="anonymous")
    text = msgspec.json.format(msgspec.json.encode(who.shown()), indent=2)
    assert len(text) <= ENTRY_BYTES


def test_who_asked_not_to_be_shown_is_in_nobodys_comparison() -> None:
    arrivals = [said("ada", show="nothing"), said("bob", show="anonymous"), said("cyd")]
    known = enrol(Roster(), arrivals, SIZE)
    found = roster.sharing(known, "mine", [result_at(name, 1, 0) for name in ("ada", "bob", "cyd")])
    assert [r.identity.student for r in found] == ["bob", "cyd"]
