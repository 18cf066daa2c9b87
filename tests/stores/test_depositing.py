"""Files are brought to a store in pieces: each once, whatever it is, in little memory, also if it broke off."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracklib.errors import StoreUnavailable
from tracklib.records import new_id
from tracklib.stores import cutting, depositing
from tracklib.stores.depositing import Lanes, deposit
from tracklib.stores.objects import ObjectStore
from tracklib.testing.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MIB = 1 << 20
CHECKPOINTS = 10


@pytest.fixture(name="lanes")
def _lanes() -> Iterator[Lanes]:
    with Lanes(3) as lanes:
        yield lanes


@pytest.fixture(name="store")
def _store() -> MemoryStore:
    return MemoryStore(f"reference://{new_id()}")


class Failing(MemoryStore):
    """A store that is away after so many pieces, and remembers which it was given."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.left = 10**9
        self.given: list[str] = []

    def put_piece(self, content: bytes, checksum: str) -> None:
        if self.left <= 0:
            raise StoreUnavailable("away")
        self.left -= 1
        self.given.append(checksum)
        super().put_piece(content, checksum)


def read(store: MemoryStore | ObjectStore, checksum: str) -> bytes:
    with store.open_blob(checksum) as file:
        return file.read()


def large(path: Path, *, mib: int) -> Path:
    path.write_bytes(b"".join(bytes([number]) * MIB for number in range(mib)))
    return path


# ---- what is stored


def torch_files(folder: Path, state: Mapping[str, Any], number: int) -> Path:
    import torch

    path = folder / f"checkpoint of epoch {number * 7}.pt"
    torch.save(state, path)
    return path


def safetensors_files(folder: Path, state: Mapping[str, Any], number: int) -> Path:
    from safetensors.torch import save_file

    path = folder / f"{number}.safetensors"
    save_file(dict(state), path, metadata={"epoch": str(number)})
    return path


@pytest.mark.parametrize("save", [torch_files, safetensors_files])
def test_checkpoints_share_what_is_the_same(
    tmp_path: Path, lanes: Lanes, save: Callable[[Path, Mapping[str, Any], int], Path]
) -> None:
    """Ten of a model with a frozen backbone cost one backbone and ten heads, under whatever names."""
    import torch
    from torch import nn

    backbone = nn.Sequential(*(nn.Linear(256, 256) for _ in range(20)))
    head = nn.Linear(256, 64)
    cost = {
        name: sum(tensor.nbytes for tensor in part.state_dict().values())
        for name, part in (("backbone", backbone), ("head", head))
    }
    store, files = ObjectStore(f"file://{tmp_path}/store"), []
    for number in range(CHECKPOINTS):
        with torch.no_grad():
            head.weight.normal_()
        state = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
        state |= {f"head.{name}": tensor for name, tensor in head.state_dict().items()}
        files.append(save(tmp_path, state, number))
    done = [deposit(store, path, lanes=lanes) for path in files]

    assert [read(store, each.checksum) for each in done] == [path.read_bytes() for path in files]
    stored = sum(blob.size for blob in store.blobs())
    whole = sum(each.size for each in done)
    # Biases are small, so that they share pieces with headers that have the name of the file in them.
    assert stored < cost["backbone"] + CHECKPOINTS * (cost["head"] + 45_000) < whole / 4


def test_zeros_are_kept_once(tmp_path: Path, store: MemoryStore, lanes: Lanes) -> None:
    """A piece that is there many times is given to the store one time."""
    path = tmp_path / "zeros"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    failing = Failing(store.uri)
    done = deposit(failing, path, lanes=lanes)

    assert len(failing.given) == 1
    assert read(store, done.checksum) == bytes(64 * MIB)


def _zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(5):
            archive.writestr(f"{number}", bytes([number]) * number * 20)
    return file.getvalue()


_HEADER = b'{"a":{"data_offsets":[0,50]},"b":{"data_offsets":[50,51]},"c":{"data_offsets":[51,300]}}'
_MADE = [_zipped(), struct.pack("<Q", len(_HEADER)) + _HEADER + bytes(range(250)) + bytes(50), b"", b"x" * 1000]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(_MADE), st.data())
def test_any_bytes_come_back(tmp_path: Path, store: MemoryStore, made: bytes, data: st.DataObject) -> None:
    """Also those of damaged files, which only look like files of tensors or members. Limits are small here."""
    content = bytearray(made)
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
    (tmp_path / "file").write_bytes(content)
    with pytest.MonkeyPatch.context() as small, Lanes(2) as lanes:
        for name, value in {"WHOLE_BYTES": 1, "FIXED_BYTES": 70, "_OWN_BYTES": 16, "_RUN_BYTES": 64}.items():
            small.setattr(cutting, name, value)
        small.setattr(depositing, "INLINE_BYTES", 8)
        done = deposit(store, tmp_path / "file", lanes=lanes)

    assert (done.checksum, done.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert read(store, done.checksum) == content


# ---- errors


def test_what_was_sent_is_not_sent_again(tmp_path: Path, store: MemoryStore, lanes: Lanes) -> None:
    """A deposit that broke off goes on where it was; the lanes are idle in between."""
    failing, path, told = Failing(store.uri), large(tmp_path / "file", mib=40), [0]
    failing.left = 3
    with pytest.raises(StoreUnavailable, match="away"):
        deposit(failing, path, lanes=lanes, on_bytes=told.append)
    before = {blob.checksum: blob.changed_at for blob in store.blobs()}
    assert len(before) == 3
    assert sum(told) == 24 * MIB

    failing.left = 10**9
    done = deposit(failing, path, lanes=lanes)
    assert read(store, done.checksum) == path.read_bytes()
    assert len(failing.given) == 3 + 5


def test_a_file_that_becomes_shorter_is_told(tmp_path: Path, store: MemoryStore, lanes: Lanes) -> None:
    """Nothing is kept of it that could be taken for the file, and the lanes can be used again."""
    path = large(tmp_path / "file", mib=100)

    class Cutting(MemoryStore):
        def put_piece(self, content: bytes, checksum: str) -> None:
            os.truncate(path, MIB)

    with pytest.raises(OSError, match=r"file' became shorter while it was read"):
        deposit(Cutting(store.uri), path, lanes=lanes)
    assert [blob for blob in store.blobs() if blob.is_recipe] == []
    assert deposit(store, large(path, mib=20), lanes=lanes).size == 20 * MIB


def test_what_took_long_is_claimed_once_more(
    tmp_path: Path, store: MemoryStore, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first pieces may have been old enough to be deleted before there was a recipe that names them."""
    monkeypatch.setattr(depositing, "LONG_SECONDS", -1.0)
    path = large(tmp_path / "file", mib=20)

    class Forgetting(MemoryStore):
        forgets = True

        def put_recipe(self, checksum: str, recipe: bytes) -> None:
            super().put_recipe(checksum, recipe)
            if self.forgets:
                self.delete_blobs([blob for blob in self.blobs() if not blob.is_recipe][:1])

    forgetting = Forgetting(store.uri)
    with pytest.raises(StoreUnavailable, match=r"pieces of the file '.*file' were deleted from reference://"):
        deposit(forgetting, path, lanes=lanes)
    forgetting.forgets = False
    assert read(store, deposit(forgetting, path, lanes=lanes).checksum) == path.read_bytes()


def test_a_file_that_is_not_there_is_told(tmp_path: Path, store: MemoryStore, lanes: Lanes) -> None:
    """So that somebody else may have taken it; a folder is none."""
    with pytest.raises(FileNotFoundError):
        deposit(store, tmp_path / "gone", lanes=lanes)
    with pytest.raises(IsADirectoryError):
        deposit(store, tmp_path, lanes=lanes)
