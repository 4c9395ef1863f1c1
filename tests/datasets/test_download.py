"""A download is resumed, verified, and never accepted when incomplete."""

import threading
from pathlib import Path

import msgspec
import pytest
from support.synthetic_cifar import Synthetic, Web

from tinytorch_compete.datasets.download import Remote, fetch
from tinytorch_compete.errors import DataError

NAME = "cifar-10-binary.tar.gz"


@pytest.fixture
def remote(web: Web, synthetic: Synthetic) -> Remote:
    return synthetic.archive(web.url).remote


def test_a_file_is_fetched_once_and_then_kept(tmp_path: Path, web: Web, remote: Remote) -> None:
    path = fetch(remote, tmp_path)
    assert fetch(remote, tmp_path) == path == tmp_path / NAME
    assert path.read_bytes() == web.content
    assert web.ranges_requested == [None]


def test_progress_ends_at_the_whole_size(tmp_path: Path, remote: Remote) -> None:
    reports: list[tuple[int, int]] = []
    fetch(remote, tmp_path, lambda done, total: reports.append((done, total)))
    assert reports == sorted(reports)
    assert reports[-1] == (remote.size, remote.size)


def test_a_broken_connection_is_resumed_within_one_call(
    tmp_path: Path, web: Web, remote: Remote
) -> None:
    step = web.breaks_after = len(web.content) // 3 + 1
    assert fetch(remote, tmp_path).read_bytes() == web.content
    assert web.ranges_requested == [None, f"bytes={step}-", f"bytes={2 * step}-"]


def test_the_next_call_goes_on_from_where_the_last_gave_up(
    tmp_path: Path, web: Web, remote: Remote
) -> None:
    web.breaks_after = 1000
    with pytest.raises(DataError, match=rf"\b5000 of {len(web.content)} bytes.* rerun .*--data"):
        fetch(remote, tmp_path)
    assert not (tmp_path / NAME).exists()
    web.breaks_after = None
    assert fetch(remote, tmp_path).read_bytes() == web.content
    assert web.ranges_requested[-1] == "bytes=5000-"


def test_a_server_that_ignores_range_starts_over(tmp_path: Path, web: Web, remote: Remote) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(b"x" * 500)
    web.ranges = False
    assert fetch(remote, tmp_path).read_bytes() == web.content
    assert web.ranges_requested == ["bytes=500-"]


def test_a_wrong_checksum_is_refused_and_the_file_removed(tmp_path: Path, remote: Remote) -> None:
    with pytest.raises(DataError, match=f"{remote.md5}, not .*{'0' * 32}"):
        fetch(msgspec.structs.replace(remote, md5="0" * 32), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.lock"]


def test_a_damaged_part_is_removed_so_that_the_next_call_succeeds(
    tmp_path: Path, web: Web, remote: Remote
) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(b"x" * 500)
    with pytest.raises(DataError, match="md5"):
        fetch(remote, tmp_path)
    assert fetch(remote, tmp_path).read_bytes() == web.content


def test_a_part_that_is_too_long_is_refused(tmp_path: Path, web: Web, remote: Remote) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(web.content + b"x")
    with pytest.raises(DataError, match=f"{remote.size + 1} bytes .*{remote.size} bytes"):
        fetch(remote, tmp_path)
    assert not (tmp_path / NAME).exists() and not (tmp_path / f"{NAME}.part").exists()


def test_no_more_than_the_promised_size_is_taken(tmp_path: Path, web: Web, remote: Remote) -> None:
    web.content += b"x" * 10_000_000
    with pytest.raises(DataError, match=f"{remote.size + 1} bytes"):
        fetch(remote, tmp_path)


@pytest.mark.parametrize("status", [404, 416, 503])
def test_an_error_of_the_server_is_named(
    tmp_path: Path, web: Web, remote: Remote, status: int
) -> None:
    web.status = status
    with pytest.raises(DataError, match=rf"\b{status}\b"):
        fetch(remote, tmp_path)


def test_a_server_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:1/file .*\b0 of 10 bytes"):
        fetch(Remote("http://127.0.0.1:1/file", 10, "0" * 32), tmp_path)


def test_a_folder_that_can_not_be_made_is_reported(tmp_path: Path, remote: Remote) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError, match=f"{tmp_path / 'taken' / NAME} .*cache"):
        fetch(remote, tmp_path / "taken")


def test_two_at_once_download_once(tmp_path: Path, web: Web, remote: Remote) -> None:
    threads = [threading.Thread(target=fetch, args=(remote, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / NAME).read_bytes() == web.content
    assert web.ranges_requested == [None]
