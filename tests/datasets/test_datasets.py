"""Any data set is prepared once, completely, and with splits that share nothing."""

import os
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tinytorch_compete.datasets import DATASETS, Dataset, prepare
from tinytorch_compete.errors import DataError

FILES = {"train_images.npy", "train_labels.npy", "public_images.npy", "public_labels.npy"}
# Of 300 training and 100 public images; cifar10's digest would depend on the copy read.
DIGESTS = {
    "digits": "8d3faf4bdfc30b16484724ce751dda019aea783ee9c144c951b8a02c73c03fea",
    "shapes32": "35ebf46d6b2eb40517cf099e82527056f1c3998ab2514b805e41c71871c0f83b",
}


@pytest.fixture(params=sorted(DATASETS))
def dataset(request: pytest.FixtureRequest, tmp_path: Path, npz_folder: Path) -> Dataset:
    source = npz_folder if request.param == "cifar10" else None
    return prepare(request.param, train=60, public=20, source=source, cache=tmp_path / "cache")


def images_of(array: NDArray[np.uint8]) -> set[bytes]:
    return {image.tobytes() for image in array}


def test_splits_have_the_sizes_that_were_asked_for(dataset: Dataset) -> None:
    for n, (images, labels) in ((60, dataset.train()), (20, dataset.public())):
        assert images.shape == ((n, 8, 8) if dataset.name == "digits" else (n, 32, 32, 3))
        assert labels.shape == (n,)
        assert images.dtype == labels.dtype == np.uint8
        assert set(np.bincount(labels)) == {n // 10}


def test_splits_are_read_only_maps_of_files(dataset: Dataset) -> None:
    images, labels = dataset.train()
    assert isinstance(images, np.memmap) and isinstance(labels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0
    for path in dataset.folder.iterdir():
        assert not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def test_the_folder_holds_what_students_may_see_and_nothing_else(dataset: Dataset) -> None:
    assert {path.name for path in dataset.folder.iterdir()} == FILES
    assert dataset.folder.stat().st_mode & 0o555 == 0o555
    reserve = dataset.folder.parent / "reserve"
    assert not reserve.exists() or not reserve.stat().st_mode & 0o077


def test_train_public_and_holdout_share_no_image(dataset: Dataset) -> None:
    train, public = images_of(dataset.train()[0]), images_of(dataset.public()[0])
    holdout = images_of(dataset.holdout(0, 20)[0])
    assert len(train | public | holdout) == 60 + 20 + 20


def test_a_holdout_is_fixed_by_its_seed(dataset: Dataset) -> None:
    (first, labels), (again, _) = dataset.holdout(2**100, 20), dataset.holdout(2**100, 20)
    assert (first == again).all()
    assert (first != dataset.holdout(2**100 + 1, 20)[0]).any()
    assert np.bincount(labels).tolist() == [2] * 10


def test_preparing_again_uses_what_is_there(
    dataset: Dataset, npz_folder: Path, tmp_path: Path
) -> None:
    before = (dataset.folder / "train_images.npy").stat()
    source = npz_folder if dataset.name == "cifar10" else None
    cache = tmp_path / "cache"
    assert prepare(dataset.name, train=60, public=20, source=source, cache=cache) == dataset
    assert (dataset.folder / "train_images.npy").stat() == before


def test_digests_are_equal_for_equal_data_and_differ_otherwise(tmp_path: Path) -> None:
    here, there, other = (
        prepare("digits", train=train, public=10, cache=tmp_path / cache).digest()
        for cache, train in (("a", 50), ("b", 50), ("a", 51))
    )
    assert here == there != other


@pytest.mark.parametrize("name", DIGESTS)
def test_the_bytes_of_splits_are_the_same_on_every_machine(name: str, tmp_path: Path) -> None:
    assert prepare(name, train=300, public=100, cache=tmp_path).digest() == DIGESTS[name]


def test_another_copy_of_the_source_is_another_data_set(npz_folder: Path, tmp_path: Path) -> None:
    first = prepare("cifar10", train=10, public=10, source=npz_folder, cache=tmp_path)
    table = dict(np.load(npz_folder / "subset.npz"))
    np.savez(npz_folder / "subset.npz", **{**table, "x_train": table["x_train"][::-1] // 2})
    second = prepare("cifar10", train=10, public=10, source=npz_folder, cache=tmp_path)
    assert first.folder != second.folder
    assert first.digest() != second.digest()


def test_processes_at_once_all_succeed_and_leave_one_copy(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        digests = set(pool.map(_digest, [tmp_path] * 8))
    assert len(digests) == 1
    assert len(list((tmp_path / "splits").iterdir())) == 1


def _digest(cache: Path) -> str:
    return prepare("shapes32", train=300, public=100, cache=cache).digest()


def test_a_process_that_died_while_writing_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    whole = prepare("digits", train=50, public=10, cache=tmp_path / "a")
    half = tmp_path / "b" / "splits" / f".{whole.folder.parent.name}.abc" / "student"
    half.mkdir(parents=True)
    (half / "train_images.npy").write_bytes(b"half")
    assert prepare("digits", train=50, public=10, cache=tmp_path / "b").digest() == whole.digest()


def test_a_cut_file_is_noticed(tmp_path: Path) -> None:
    dataset = prepare("digits", train=50, public=10, cache=tmp_path)
    path = dataset.folder / "public_images.npy"
    path.chmod(0o600)
    os.truncate(path, 100)
    with pytest.raises(DataError, match=str(dataset.folder.parent)):
        prepare("digits", train=50, public=10, cache=tmp_path)
    with pytest.raises(DataError, match=str(dataset.folder.parent)):
        dataset.public()


@pytest.mark.parametrize("facts", ["", "{}x", '["train"]', '[{"size": 1}]'])
def test_damaged_facts_are_noticed(tmp_path: Path, facts: str) -> None:
    dataset = prepare("digits", train=50, public=10, cache=tmp_path)
    (dataset.folder.parent / "facts.json").write_text(facts)
    with pytest.raises(DataError, match=str(dataset.folder.parent)):
        dataset.digest()


def test_a_split_may_be_empty(tmp_path: Path) -> None:
    images, labels = prepare("shapes32", train=10, public=0, cache=tmp_path).public()
    assert images.shape == (0, 32, 32, 3)
    assert labels.shape == (0,)


def test_a_cache_that_can_not_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError, match=f"{tmp_path / 'taken'}.*cache"):
        prepare("digits", train=10, public=10, cache=tmp_path / "taken")


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'mnist'.* digits, cifar10, shapes32"):
        prepare("mnist", train=10, public=10, cache=tmp_path)


@pytest.mark.parametrize(("train", "public"), [(1100, 99), (-1, 10), (10, -1)])
def test_sizes_that_can_not_be_are_refused(tmp_path: Path, train: int, public: int) -> None:
    with pytest.raises(DataError, match="digits: "):
        prepare("digits", train=train, public=public, cache=tmp_path)
    assert not (tmp_path / "splits").exists()


def test_a_holdout_of_digits_has_599_images_at_most(tmp_path: Path) -> None:
    dataset = prepare("digits", train=1000, public=198, cache=tmp_path)
    everything = dataset.holdout(1, 599)[0]
    assert len(everything) == 599
    with pytest.raises(DataError, match=r"\b600\b.*\b599\b"):
        dataset.holdout(1, 600)


def test_a_source_for_a_data_set_that_needs_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"shapes32 .*{tmp_path}"):
        prepare("shapes32", train=10, public=10, source=tmp_path, cache=tmp_path)
