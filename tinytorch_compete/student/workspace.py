"""What students ask for, answered as panels that a terminal and a notebook show alike."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from tinytorch_compete.challenges import packs, release
from tinytorch_compete.challenges.packs import Entry
from tinytorch_compete.course import exchange, parcel
from tinytorch_compete.course.parcel import Parcel
from tinytorch_compete.datasets import Dataset, prepare
from tinytorch_compete.errors import CompeteError, DataError, PackError, StoreError
from tinytorch_compete.grading import eligibility
from tinytorch_compete.model import Challenge, Result, Verdict
from tinytorch_compete.participants import registration
from tinytorch_compete.participants.registration import Entrant, Receipt
from tinytorch_compete.rendering.panel import Panel
from tinytorch_compete.results import figures
from tinytorch_compete.sandbox.contract import Sandbox
from tinytorch_compete.student import check as student_check
from tinytorch_compete.suggestions import guide as insights_guide
from tinytorch_compete.util import times
from tinytorch_compete.wishes import Wishes, about, invitation
from tinytorch_compete.wishes import wanted as _wanted

Progress = Callable[[int, int], None]
SHOWN_FILES = 5


def challenges(entries: Mapping[str, Entry], here: Path) -> Panel:
    """The challenges in a table, and where those are that were joined near here."""
    places = registration.find(here)
    rows = []
    for slug, entry in entries.items():
        facts = entry.challenge
        metric = facts.metric(facts.rank[0])
        goals = [f"{tier.name} {figures.format_figure(metric, tier.at)}" for tier in facts.tiers]
        limits = f"{facts.limits.memory_mib} MiB, {facts.limits.wall_s:g} s"
        rows.append((slug, facts.summary, ", ".join(goals), limits, str(places.get(slug, ""))))
    return Panel("Challenges", ("!challenge", "what", "tiers", "!limits", "joined in"), tuple(rows))


def join(entry: Entry, here: Path, wishes: Wishes, progress: Progress | None = None) -> Panel:
    """Bring what a challenge needs to a student's folder and record the entry; again to change it.

    What is there is kept. Raises ``CompeteError``.
    """
    folder, before = joined(entry, here, wishes.folder)
    wanted = _wanted(entry, before, wishes)
    data, missed = _data(entry, wanted, progress)
    changed = before is not None and before.dataset != data.name
    kept = release.bring(entry, data.folder, folder, replace_data=changed)
    now = msgspec.structs.replace(wanted, dataset=data.name)
    registration.write(folder, now)
    rows = [("notebook", str(folder / f"{entry.slug}.ipynb")), ("data", data.name)]
    rows += about(now)
    rows += [("submissions go to", now.to)] if now.to else []
    lines = [f"Kept as they were: {', '.join(kept)}."] if kept and before is None else []
    if missed:
        lines += [
            f"{entry.choice(None).name} can't be had here now: {missed}. You have {data.name} "
            "instead, of the same form. For the other one join again when you are online, or name "
            "a folder that has it: --data FOLDER"
        ]
    if now.team and (before is None or (before.team, before.word) != (now.team, now.word)):
        lines += invitation(now, new_word=not wishes.word)
    return Panel(
        f"You {'changed how you take part in' if before else 'joined'} {entry.slug}",
        ("!", ""),
        tuple(rows),
        tuple(lines),
    )


def leave(entry: Entry, here: Path) -> Panel:
    """Remove the record of an entry and keep the work; raises ``CompeteError``."""
    folder = registration.find(here).get(entry.slug)
    if folder is None:
        folder, _ = registration.of(here, entry.slug)  # which says that it isn't there
    (folder / registration.FILE).unlink()
    return Panel(
        f"You left {entry.slug}",
        lines=(
            f"Your work stays in {folder}.",
            "What you sent stays with the course, under what you said last about your team and the "
            "leaderboard. To take that back, too, or to have a result withdrawn, ask the staff. A "
            "leaderboard that was given out can't be called back.",
        ),
    )


def joined(entry: Entry, here: Path, folder: Path | None) -> tuple[Path, Entrant | None]:
    """Where a challenge is or would be joined, and the entrant there if it was.

    Raises ``CompeteError`` if the folder is another challenge's.
    """
    if folder is None:
        folder = registration.find(here).get(entry.slug, here / entry.slug)
    if not (folder / registration.FILE).is_file():
        return folder, None
    found = registration.read(folder)
    if found.challenge != entry.slug:
        raise CompeteError(f"{folder}: {found.challenge} was joined there; name another folder.")
    return folder, found


def _data(entry: Entry, wanted: Entrant, progress: Progress | None) -> tuple[Dataset, str]:
    """The data set, and what went wrong if the first one can't be had and another stands in."""
    chosen = [entry.choice(wanted.dataset)] if wanted.dataset else entry.challenge.datasets
    problem: DataError | None = None
    for choice in chosen:
        source = Path(wanted.source) if wanted.source and problem is None else None
        try:
            found = prepare(
                choice.name,
                train=choice.train,
                public=choice.public,
                source=source,
                progress=progress,
            )
        except DataError as error:
            problem = problem or error
            continue
        return found, str(problem).partition(";")[0] if problem else ""
    assert problem
    raise problem


def check(
    entries: Mapping[str, Entry],
    here: Path,
    slug: str | None,
    path: Path | None,
    sandbox: Sandbox,
    progress: Progress | None = None,
    running: student_check.Running | None = None,
) -> Panel:
    """Grade a student's notebook on the public images, as the course will on hidden ones.

    ``progress`` is told of a download, ``running`` of the run's seconds and its limit.
    Raises ``CompeteError``.
    """
    entry, folder, who, path = _work(entries, here, slug, path)
    with parcel.packed(entry, folder, path, who) as made:
        plan = student_check.plan(entry, who, progress)
        result = student_check.check(plan, made.work, sandbox, running)
    lines = [*_said(result), *form(made), _saved(path)]
    lines += [f"Not checked: {_not_checked(entry.challenge, who)}"]
    return Panel(
        f"{path.name}: {_score(result)}, on public images",
        ("", ">points", ""),
        tuple(
            (cell.grade_id, f"{cell.points:g}/{cell.max_points:g}", cell.message)
            for cell in result.cells
        ),
        tuple(lines),
    )


def submit(
    entries: Mapping[str, Entry],
    here: Path,
    slug: str | None,
    path: Path | None,
    to: Path | None,
    agreed: Callable[[Panel], bool],
) -> Panel | None:
    """Send a student's notebook to the course, and keep and return the receipt.

    ``agreed`` is shown what will be sent, and to where. If it says no, nothing is sent and ``None``
    comes back. Raises ``CompeteError``.
    """
    entry, folder, who, path = _work(entries, here, slug, path)
    dates, now = entry.challenge.dates, dt.datetime.now(dt.UTC)
    if why := eligibility.refusal(dates, now, who.sent_on(now.date())):
        raise CompeteError(f"{entry.slug}: it would not be graded: {why}.")
    config = None if to else exchange.configured()
    target = to or (Path(who.to) if who.to else None)
    if config is None and target is None:
        raise CompeteError(
            "there is nowhere to send it to: no nbgrader_config.py names a course "
            "(c.CourseDirectory.course_id), and no folder was named. Ask the staff; then: "
            f"tito compete submit --challenge {entry.slug} --to FOLDER"
        )
    place = f"nbgrader's exchange, course {exchange.course_of(config)}" if config else str(target)
    registration.write(folder, who)  # before anything is sent: the receipt must find its place
    with parcel.packed(entry, folder, path, who) as made:
        if not agreed(_preview(made, path, place, who)):
            return None
        sent = made.work.notebook.parent
        sent_at = exchange.send(config, sent) if config else exchange.put(target or Path(), sent)
        receipt = Receipt(made.sha256, sent_at, place)
    now_who = msgspec.structs.replace(who, receipts=(*who.receipts, receipt))
    shown = _receipt(entry, now_who, receipt)
    try:
        registration.write(folder, now_who)
    except StoreError as error:  # it was sent all the same
        lines = (f"Sent, but this receipt isn't kept: {error} Note its sha256.",)
        shown = msgspec.structs.replace(shown, lines=(*shown.lines, *lines))
    return shown


def _preview(made: Parcel, path: Path, place: str, who: Entrant) -> Panel:
    """What will be sent: the notebook, the largest files by name, and the rest by number."""
    first = made.work.notebook.name
    sizes = sorted(made.sizes.items(), key=lambda item: (item[0] != first, -item[1]))
    rows = [(name, f"{size / 1024:.0f} KiB") for name, size in sizes[:SHOWN_FILES]]
    if rest := sizes[SHOWN_FILES:]:
        total = sum(size for _, size in rest)
        rows.append((f"and {len(rest)} smaller files", f"{total / 1024:.0f} KiB"))
    said = "; ".join(f"{n}: {v}" for n, v in about(who) if n != "invite word")
    about_you = f"{registration.FILE} says of you: {said}."
    lines = (f"To: {place}", _saved(path), about_you, *form(made))
    return Panel(f"Will be sent: {path.name}", ("~", ">"), tuple(rows), lines)


def _saved(path: Path) -> str:
    """Which state of a notebook this is about: an editor may hold another."""
    saved = dt.datetime.fromtimestamp(path.stat().st_mtime)
    return f"The notebook as it was saved: {saved:%Y-%m-%d %H:%M:%S}."


def _receipt(entry: Entry, who: Entrant, receipt: Receipt) -> Panel:
    rows = [
        ("sha256", receipt.sha256),
        ("sent", f"{receipt.sent_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("to", receipt.place),
    ]
    dates = entry.challenge.dates
    if dates.per_day:
        left = dates.per_day - who.sent_on(receipt.sent_at.date())
        shared = ", less what teammates sent" if who.team else ""
        rows.append(("left today", f"{left} of {dates.per_day}, until midnight UTC{shared}"))
    if dates.closes:
        rows.append(("closes", times.shown(dates.closes)))
    return Panel(f"Receipt: {entry.slug}", ("!", ""), tuple(rows))


def hint(entries: Mapping[str, Entry], here: Path, slug: str | None) -> Panel:
    """One more hint than before, the mildest first, counted in the student's record; then all."""
    entry, folder, who = _entered(entries, here, slug)
    hints = _hints(entry)
    number = min(who.hints + 1, len(hints))
    if number > who.hints:
        registration.write(folder, msgspec.structs.replace(who, hints=number))
    left = len(hints) - number
    after = f"{left} more: ask again." if left else "That was the last one. They are in hints.md."
    return Panel(f"Hint {number} of {len(hints)}", (), (), (after,), hints[number - 1])


def guide(entries: Mapping[str, Entry], here: Path, slug: str | None) -> Panel:
    """A challenge's guide; it needn't have been joined if it is named.

    ``insights`` is the guide to what feedback suggests, an insight's name its section there.
    """
    if slug and slug not in entries and (text := insights_guide.find(slug)):
        return Panel(markdown=text)
    entry = packs.resolve(entries, slug) if slug else _entered(entries, here, None)[0]
    return Panel(markdown=(entry.folder / "guide.md").read_text("utf-8"))


def _hints(entry: Entry) -> list[str]:
    """The hints of a challenge, each with its heading; raises ``PackError`` if there are none."""
    path = entry.folder / "hints.md"
    parts = re.split(r"^(?=# )", path.read_text("utf-8"), flags=re.MULTILINE)
    if not (found := [part.strip() for part in parts if part.startswith("# ")]):
        raise PackError(f"{path}: no hints; each starts with a heading: # A heading")
    return found


def form(made: Parcel) -> list[str]:
    """What a look at the answer cells shows that a student may want to know before sending."""
    lines = []
    if made.missing:
        lines += [f"Answer cells that are missing and count as empty: {', '.join(made.missing)}."]
    if made.unchanged:
        lines += [f"Answer cells that are as you got them: {', '.join(made.unchanged)}."]
    if made.surplus:
        lines += [f"Code cells of your own, which grading doesn't run: {made.surplus}."]
    return lines


def _work(
    entries: Mapping[str, Entry], here: Path, slug: str | None, path: Path | None
) -> tuple[Entry, Path, Entrant, Path]:
    """The challenge, its folder, the entrant and the notebook that a student means."""
    if path is not None and slug is None:
        here = path.resolve().parent
    entry, folder, who = _entered(entries, here, slug)
    return entry, folder, who, path or parcel.notebook_in(folder, entry.slug)


def _entered(
    entries: Mapping[str, Entry], here: Path, slug: str | None
) -> tuple[Entry, Path, Entrant]:
    """The challenge that a student means, its folder and the entrant."""
    named = packs.resolve(entries, slug).slug if slug else None
    folder, who = registration.of(here, named)
    return packs.resolve(entries, who.challenge), folder, who


def _score(result: Result) -> str:
    if result.points is None:
        return f"{result.verdict}, not scored"
    tier = f", tier {result.tier}" if result.tier else ""
    return f"{result.verdict}, {result.points:g} of {result.max_points:g} points{tier}"


def _said(result: Result) -> list[str]:
    """Why it ended as it did, and what it took."""
    lines = [result.message] if result.message else []
    if result.layers:
        limits = result.identity.limits
        lines += [
            f"{result.wall_s:.1f} of {limits.wall_s:g} s, peak {result.peak_mib:.0f} of "
            f"{limits.memory_mib} MiB. Held by: {', '.join(result.layers)}."
        ]
    if result.verdict == Verdict.FAULT:
        lines += ["That is no fault of your code. See: tito compete doctor"]
    return lines


def _not_checked(challenge: Challenge, who: Entrant) -> str:
    first = challenge.datasets[0].name
    other = f" of {first}, for you have {who.dataset}" if who.dataset != first else ""
    seeds = f"{challenge.seeds} secret seeds" if challenge.seeds > 1 else "a secret seed"
    return (
        f"the hidden images{other}; {seeds}, where this was one run with a seed of your own; the "
        "speed of the machine that grades. You have seen the public images: expect a little less."
    )
