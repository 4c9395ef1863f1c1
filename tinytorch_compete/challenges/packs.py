"""Find and read the challenge packs on disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from nbformat import NotebookNode

from tinytorch_compete.errors import PackError
from tinytorch_compete.model import ChallengeSpec, DatasetChoice
from tinytorch_compete.submissions import notebook

PACKAGE = Path(__file__).resolve().parents[1]
ENTRY_POINTS = "tinytorch_compete.packs"
NOTEBOOKS, GRADERS = "challenge_notebooks", "graders"


class Challenge(msgspec.Struct, frozen=True):
    """One challenge of a pack: its facts, and the folders of its two halves."""

    slug: str
    spec: ChallengeSpec
    folder: Path
    grader_folder: Path

    @property
    def master_path(self) -> Path:
        """The master notebook, with solutions and hidden grading cells."""
        return self.folder / f"{self.slug}.ipynb"

    def master(self) -> NotebookNode:
        """Read the master notebook; raises ``NotebookError``."""
        return notebook.read(self.master_path)

    @property
    def reference_path(self) -> Path:
        """The path of the submission that timed probes compare with, which may not exist."""
        return self.grader_folder / "reference.ipynb"

    def reference(self) -> NotebookNode | None:
        """Assemble the reference submission; ``None`` if there is none."""
        if not self.reference_path.exists():
            return None
        return notebook.assemble(self.master(), notebook.read(self.reference_path)).notebook

    def choice(self, dataset: str | None) -> DatasetChoice:
        """Return the data set of that name, or the default; raises ``PackError`` if unknown."""
        by_name = {choice.name: choice for choice in self.spec.datasets}
        if dataset is not None and dataset not in by_name:
            raise PackError(
                f"{self.slug} can't be run on the data set {dataset!r}; "
                f"choose one of: {', '.join(by_name)}."
            )
        return by_name[dataset] if dataset else self.spec.datasets[0]

    def challenge_sha(self) -> str:
        """Return a sha256 of the student's half: ``challenge.toml`` and the master notebook."""
        return _digest([self.folder / "challenge.toml", self.master_path])

    def grader_sha(self) -> str:
        """Return a sha256 of the grader's code and its reference submission."""
        paths = [self.grader_folder / "grader.py", self.reference_path]
        return _digest(path for path in paths if path.exists())


def find(extra: Iterable[Path] = ()) -> dict[str, Challenge]:
    """Find all challenges of the built-in pack, installed packs and ``extra`` folders, by slug.

    Raises ``PackError`` for a folder that isn't a pack, a file that is missing or invalid, and a
    slug or alias that two challenges claim.
    """
    challenges: dict[str, Challenge] = {}
    for pack in dict.fromkeys(path.resolve() for path in [*_installed(), *extra]):
        for challenge in load(pack):
            if challenge.slug in challenges:
                raise PackError(
                    f"two packs have a challenge {challenge.slug!r}: "
                    f"{challenges[challenge.slug].folder} and {challenge.folder}. "
                    "Rename one of them, or use one pack at a time."
                )
            challenges[challenge.slug] = challenge
    _names(challenges)  # fails for an alias that two challenges claim
    return challenges


def load(pack: Path) -> list[Challenge]:
    """Read the challenges of one pack folder, sorted by slug; raises ``PackError``."""
    folder = pack / NOTEBOOKS
    if not folder.is_dir():
        raise PackError(
            f"{pack}: not a challenge pack: it needs the folders {NOTEBOOKS}/ and {GRADERS}/."
        )
    folders = sorted(path.parent for path in folder.glob("*/challenge.toml"))
    return [_read(pack, path) for path in folders]


def resolve(challenges: Mapping[str, Challenge], word: str) -> Challenge:
    """Return the challenge of a slug or alias; raises ``PackError`` that lists the slugs."""
    names = _names(challenges)
    if word not in names:
        raise PackError(
            f"there is no challenge {word!r}; available: {', '.join(challenges) or 'none'}. "
            "See: tito compete list"
        )
    return challenges[names[word]]


def built_in() -> Path | None:
    """Return the folder of the built-in pack, in the wheel or in the checkout."""
    for candidate in (PACKAGE / "_pack", PACKAGE.parent):
        if (candidate / NOTEBOOKS).is_dir():
            return candidate
    return None


def _installed() -> list[Path]:
    """List the folders of the built-in pack and of the packs of installed packages.

    An entry point of the group ``ENTRY_POINTS`` names an importable package whose folder is a pack.
    """
    packs = [path for path in [built_in()] if path]
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        spec = importlib.util.find_spec(point.value)
        if spec is None or not spec.submodule_search_locations:
            raise PackError(
                f"the installed pack {point.name!r} names {point.value}, which is no package."
            )
        packs.append(Path(next(iter(spec.submodule_search_locations))))
    return packs


def _read(pack: Path, folder: Path) -> Challenge:
    slug = folder.name
    challenge = Challenge(
        slug, read_challenge(folder / "challenge.toml"), folder, pack / GRADERS / slug
    )
    required = [challenge.master_path, folder / "hints.md", folder / "guide.md"]
    for path in [*required, challenge.grader_folder / "grader.py"]:
        if not path.is_file():
            raise PackError(f"{path}: missing; the challenge {slug!r} needs this file.")
    return challenge


def read_challenge(path: Path) -> ChallengeSpec:
    """Read a ``challenge.toml``; raises ``PackError`` that names file, key and mistake."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=ChallengeSpec)
    except OSError as error:
        raise PackError(f"{path}: can't be read ({error.strerror}).") from None
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError) as error:
        raise PackError(f"{path}: {error}") from None


def _names(challenges: Mapping[str, Challenge]) -> dict[str, str]:
    """Map slugs and aliases to slugs; raises ``PackError`` for a name that two challenges claim."""
    names = {slug: slug for slug in challenges}
    for slug, challenge in challenges.items():
        for alias in challenge.spec.aliases:
            if names.setdefault(alias, slug) != slug:
                raise PackError(
                    f"{challenge.folder / 'challenge.toml'}: the alias {alias!r} already "
                    f"belongs to {names[alias]}; choose another."
                )
    return names


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
