"""CIFAR-10 is read byte for byte from any valid copy, and damaged copies are refused."""

from pathlib import Path

import numpy as np
import pytest
from support.synthetic_cifar import RECORDS, Synthetic, Web, batches_of, tar_of

from tinytorch_compete.datasets import cifar10
from tinytorch_compete.datasets.splits import Pair
from tinytorch_compete.errors import DataError

URL = "http://127.0.0.1:1/cifar-10-binary.tar.gz"  # no server listens there
SUBSET = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10_subset.npz"


def assert_all_there(pairs: tuple[Pair, Pair], synthetic: Synthetic) -> None:
    (images, labels), (test_images, test_labels) = pairs
    assert len(images) == 5 * RECORDS
    assert (np.concatenate([images, test_images]) == synthetic.images()).all()
    assert (np.concatenate([labels, test_labels]) == synthetic.rows[:, 0]).all()
    assert images.dtype == labels.dtype == test_images.dtype == np.uint8


def test_the_archive_is_downloaded_and_read(tmp_path: Path, web: Web, synthetic: Synthetic) -> None:
    pairs = cifar10.load(tmp_path, archive=synthetic.archive(web.url))
    assert_all_there(pairs, synthetic)


def test_a_folder_with_the_archive_is_read(tmp_path: Path, synthetic: Synthetic) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(synthetic.content)
    assert_all_there(cifar10.load_folder(tmp_path, synthetic.archive(URL)), synthetic)


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-bin"])
def test_a_folder_with_the_extracted_batches_is_read(
    tmp_path: Path, synthetic: Synthetic, inside: str
) -> None:
    (tmp_path / inside).mkdir(exist_ok=True)
    for name, content in batches_of(synthetic.rows).items():
        (tmp_path / inside / Path(name).name).write_bytes(content)
    assert_all_there(cifar10.load_folder(tmp_path, synthetic.archive(URL)), synthetic)


def test_a_folder_with_a_table_is_read(npz_folder: Path, synthetic: Synthetic) -> None:
    assert_all_there(cifar10.load_folder(npz_folder), synthetic)


def test_the_order_of_members_in_the_tar_does_not_matter(
    tmp_path: Path, synthetic: Synthetic
) -> None:
    members = dict(reversed(batches_of(synthetic.rows).items()))
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(tar_of(members))
    assert_all_there(cifar10.load_folder(tmp_path, synthetic.archive(URL)), synthetic)


def damage(members: dict[str, bytes], how: str) -> bytes:
    last = "cifar-10-batches-bin/test_batch.bin"
    if how == "missing":
        del members[last]
    elif how == "short":
        members[last] = members[last][:-1]
    elif how == "long":
        members[last] += b"\0"
    elif how == "label":
        members[last] = b"\x0a" + members[last][1:]
    content = tar_of(members)
    return content[: len(content) // 2] if how == "cut" else content


@pytest.mark.parametrize("how", ["missing", "short", "long", "label", "cut"])
def test_a_damaged_archive_is_refused(tmp_path: Path, synthetic: Synthetic, how: str) -> None:
    content = damage(batches_of(synthetic.rows), how)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=f"cifar10: {tmp_path}/cifar-10-binary.tar.gz "):
        cifar10.load_folder(tmp_path, synthetic.archive(URL))


def test_a_batch_of_the_wrong_size_is_refused(tmp_path: Path, synthetic: Synthetic) -> None:
    for name, content in batches_of(synthetic.rows).items():
        (tmp_path / Path(name).name).write_bytes(content[:-3])
    with pytest.raises(DataError, match=f"{len(content) - 3} bytes, not {len(content)}"):
        cifar10.load_folder(tmp_path, synthetic.archive(URL))


def test_a_pickle_in_a_table_is_never_executed(npz_folder: Path) -> None:
    table = dict(np.load(npz_folder / "subset.npz"))
    table["x_train"] = np.array([print], dtype=object)
    np.savez(npz_folder / "subset.npz", **table)
    with pytest.raises(DataError, match="allow_pickle=False"):
        cifar10.load_folder(npz_folder)


@pytest.mark.parametrize(
    ("name", "array", "why"),
    [
        ("x_train", np.zeros((100, 32, 32, 3), np.uint8), "images are"),
        ("x_train", np.zeros((100, 3, 32, 32), np.float32), "images are"),
        ("y_train", np.zeros(99, np.uint8), "labels are"),
        ("y_train", np.zeros(100, np.float32), "labels are"),
        ("y_test", np.full(20, -1), "label .* 0 to 9"),
    ],
)
def test_a_table_of_another_form_is_refused(
    npz_folder: Path, name: str, array: np.ndarray, why: str
) -> None:
    np.savez(npz_folder / "subset.npz", **{**np.load(npz_folder / "subset.npz"), name: array})
    with pytest.raises(DataError, match=why):
        cifar10.load_folder(npz_folder)


def test_a_folder_without_a_copy_says_what_would_do(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"a pickle")
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz .*\bpickle"):
        cifar10.load_folder(tmp_path)


def test_a_fingerprint_changes_with_the_copy(npz_folder: Path) -> None:
    before = cifar10.fingerprint(npz_folder)
    assert cifar10.fingerprint(npz_folder) == before
    np.savez(npz_folder / "subset.npz", x_train=np.zeros(1))
    assert cifar10.fingerprint(npz_folder) != before


def test_real_images_are_read_upright() -> None:
    if not SUBSET.is_file():
        pytest.skip(f"no real images at {SUBSET}")
    (images, labels), (test_images, test_labels) = cifar10.load_folder(SUBSET.parent)
    assert len(images) == len(labels) and len(test_images) == len(test_labels)
    assert set(np.unique(labels)) == set(range(10))
    # Photographs vary less between neighbours than between distant pixels; a wrong layout doesn't.
    pixels = images[:500].astype(int)
    for axis in (1, 2):
        near = np.abs(np.diff(pixels, axis=axis)).mean()
        far = np.abs(pixels - np.roll(pixels, 16, axis=axis)).mean()
        assert near < far / 2
