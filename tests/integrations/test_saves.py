"""What becomes of a save: once for each, nothing temporary, not too often, and never in the way of the program."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import tracklib
from tracklib.integrations import imports, saves
from tracklib.integrations import torch as torch_saves
from tracklib.integrations.patching import Patches

pytestmark = pytest.mark.usefixtures("bare")

WEIGHTS = {"weight": torch.ones(2)}


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Watch torch for as long as a test lasts, and note what it saves."""
    monkeypatch.setenv("TRACKLIB_LOG_MODELS", "reference")
    patches = Patches()
    torch_saves.install(patches)
    yield
    imports.forget()
    patches.undo()


@pytest.fixture(name="quick")
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the look at what was saved come soon."""
    monkeypatch.setattr(saves, "LOOK_SECONDS", 0.05)


def start() -> tracklib.Run:
    return tracklib.start_run(project="saves")


def names() -> list[str]:
    return sorted(artifact.name for artifact in tracklib.get_run("latest").artifacts)


def recorded() -> int:
    """Return how many saves the store knows of by now."""
    with contextlib.suppress(tracklib.TracklibError):  # The store may not be there yet.
        return len(tracklib.get_run("latest").artifacts)
    return 0


def await_(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


# ---- what is recorded


def test_a_save_is_a_reference_with_the_checksum_of_the_file() -> None:
    """No bytes are copied."""
    with start():
        torch.save(WEIGHTS, "weights.pt")

    (artifact,) = tracklib.get_run("latest").artifacts
    assert (artifact.name, artifact.type, artifact.path) == ("weights.pt", "model", str(Path("weights.pt").absolute()))
    assert artifact.files[0].checksum == hashlib.sha256(Path("weights.pt").read_bytes()).hexdigest()
    assert artifact.metadata["reference"] is True
    assert not list(Path(".tracklib").rglob("blobs/*"))


@pytest.mark.usefixtures("quick")
def test_it_is_recorded_while_the_run_goes_on() -> None:
    """A program that is killed has its models noted all the same."""
    with start():
        torch.save(WEIGHTS, "weights.pt")

        await_(recorded)


def test_the_path_is_that_of_the_moment_of_the_save(tmp_path: Path) -> None:
    """Though the program goes to another folder afterwards."""
    with start():
        torch.save(WEIGHTS, "weights.pt")
        (tmp_path / "elsewhere").mkdir()
        os.chdir("elsewhere")

    os.chdir(tmp_path)
    assert [artifact.path for artifact in tracklib.get_run("latest").artifacts] == [str(tmp_path / "weights.pt")]


def test_the_step_is_the_last_one_that_was_logged() -> None:
    """Unless the checkpoint says itself which it is of."""
    with start() as run:
        run.log({"loss": 0.5}, step=40)
        torch.save(WEIGHTS, "weights.pt")
        torch.save({"model": WEIGHTS, "global_step": 30}, "checkpoint.pt")

    steps = {artifact.name: artifact.step for artifact in tracklib.get_run("latest").artifacts}
    assert steps == {"weights.pt": 40, "checkpoint.pt": 30}


def test_before_the_first_step_there_is_none() -> None:
    """As of a model that is saved before it is trained."""
    with start():
        torch.save(WEIGHTS, "weights.pt")

    assert [artifact.step for artifact in tracklib.get_run("latest").artifacts] == [None]


def test_a_save_in_a_thread_is_recorded() -> None:
    """In the run of the process."""
    with start():
        thread = threading.Thread(target=torch.save, args=(WEIGHTS, "weights.pt"))
        thread.start()
        thread.join()

    assert names() == ["weights.pt"]


def test_a_save_within_another_one_is_part_of_it() -> None:
    """The outermost call counts."""

    def write_both(original: Any, *arguments: Any) -> None:
        saves.quiet(original, *arguments)

    with start():
        write_both(torch.save, WEIGHTS, "inner.pt")
        torch.save(WEIGHTS, "outer.pt")

    assert names() == ["outer.pt"]


# ---- what is not recorded


def test_without_a_run_nothing_happens() -> None:
    """Not even a run is begun."""
    torch.save(WEIGHTS, "weights.pt")

    assert not Path(".tracklib").exists()


def test_the_setting_turns_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """`log_models = "off"` leaves saves alone."""
    monkeypatch.setenv("TRACKLIB_LOG_MODELS", "off")
    with start():
        torch.save(WEIGHTS, "weights.pt")

    assert names() == []


def test_a_disabled_run_hears_nothing() -> None:
    """And the program saves as ever."""
    with tracklib.start_run(project="saves", mode="disabled"):
        torch.save(WEIGHTS, "weights.pt")

    assert Path("weights.pt").exists()


def test_buffers_open_files_and_devices_are_no_saves() -> None:
    """Only paths are."""
    with start():
        torch.save(WEIGHTS, io.BytesIO())
        with Path("open.pt").open("wb") as file:
            torch.save(WEIGHTS, file)
        torch.save(WEIGHTS, "/dev/null")
        torch.save(WEIGHTS, "/dev/shm/tracklib-test.pt")  # noqa: S108 - that is the point
        Path("/dev/shm/tracklib-test.pt").unlink()  # noqa: S108 - as above

    assert names() == []


def test_what_is_gone_was_temporary() -> None:
    """It was written to be sent somewhere, say."""
    with start():
        torch.save(WEIGHTS, "upload.pt")
        Path("upload.pt").unlink()

    assert names() == []


def test_what_python_is_going_to_remove_is_temporary() -> None:
    """Even while it is still there."""
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as file, start():
        torch.save(WEIGHTS, f"{folder}/weights.pt")
        torch.save(WEIGHTS, file.name)

    assert names() == []


def test_a_folder_made_by_mkdtemp_is_not_temporary() -> None:
    """It stays, and so does what lies in it."""
    with start():
        torch.save(WEIGHTS, f"{tempfile.mkdtemp()}/weights.pt")

    assert names() == ["weights.pt"]


def test_where_the_program_works_nothing_is_temporary(tmp_path: Path) -> None:
    """Though Python is going to remove it."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with start():
            torch.save(WEIGHTS, "weights.pt")
        found = names()
        os.chdir(tmp_path)

    assert found == ["weights.pt"]


def test_a_model_that_is_kept_by_us_is_no_save() -> None:
    """`log_model` writes it with the same function."""
    with start() as run:
        run.log_model(torch.nn.Linear(2, 2), "kept")

    assert names() == ["kept"]


# ---- renamed, rewritten, beside others


def test_a_file_that_is_renamed_has_its_new_name() -> None:
    """Careful programs write beside the file and then replace it."""
    with start():
        torch.save(WEIGHTS, "weights.pt.tmp")
        Path("weights.pt.tmp").replace("weights.pt")

    assert names() == ["weights.pt"]
    assert tracklib.get_run("latest").artifacts[0].path == str(Path("weights.pt").absolute())


def test_a_path_that_is_rewritten_all_the_time_does_not_flood() -> None:
    """The last version is recorded when the run ends."""
    with start():
        for _ in range(50):
            torch.save(WEIGHTS, "last.pt")
        torch.save({"weight": torch.zeros(500)}, "last.pt")

    (artifact,) = tracklib.get_run("latest").artifacts
    assert artifact.checksum
    assert artifact.size == Path("last.pt").stat().st_size


@pytest.mark.usefixtures("quick")
def test_a_path_is_recorded_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its next version."""
    monkeypatch.setattr(saves, "INTERVAL_SECONDS", 0.2)
    with start():
        torch.save(WEIGHTS, "last.pt")
        await_(recorded)
        torch.save({"weight": torch.zeros(500)}, "last.pt")
        await_(lambda: recorded() == 2)

        found = tracklib.get_run("latest").artifacts
    assert [(artifact.version, artifact.is_reference) for artifact in found] == [(0, True), (1, True)]


@pytest.mark.usefixtures("quick")
def test_files_that_replace_the_same_one_are_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And at the end, though each is written under a name of its own."""
    monkeypatch.setattr(saves, "INTERVAL_SECONDS", 1000.0)
    with start():
        for number in range(20):
            torch.save(WEIGHTS, f"{number}.tmp")
            Path(f"{number}.tmp").replace("last.pt")
            time.sleep(0.05)
            if number == 10:
                await_(recorded)

    # A slow machine may look at one before it is renamed.
    found = [artifact for artifact in tracklib.get_run("latest").artifacts if artifact.name == "last.pt"]
    assert 1 <= len(found) <= 2


TERMINATED = """
import os, signal
import torch, tracklib
from tracklib.integrations import torch as torch_saves
from tracklib.integrations.patching import Patches
torch_saves.install(Patches())
run = tracklib.start_run(project="saves")
torch.save({"weight": torch.ones(2)}, "weights.pt")
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_program_that_is_terminated_has_its_last_save_recorded() -> None:
    """The look that was still to come is taken at the end."""
    done = subprocess.run([sys.executable, "-c", TERMINATED], check=False, timeout=200)

    assert done.returncode == -signal.SIGTERM
    (artifact,) = tracklib.get_run("latest").artifacts
    assert artifact.checksum


# ---- nothing is in the way


def test_exceptions_of_the_original_pass_and_record_nothing() -> None:
    """Unchanged."""
    with start(), pytest.raises(RuntimeError, match="Parent directory"):
        torch.save(WEIGHTS, "missing/weights.pt")

    assert names() == []


def test_a_wrong_call_fails_as_it_does_without_us() -> None:
    """With the message of the original."""
    with start(), pytest.raises(TypeError, match="missing 1 required positional argument: 'f'"):
        torch.save(WEIGHTS)  # type: ignore[call-arg]  # that is the point


def test_a_fault_of_ours_does_not_reach_the_program(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is warned of once."""

    def broken(*_: object, **__: object) -> None:
        raise OSError("the disk is gone")

    with start() as run, caplog.at_level(logging.WARNING):
        monkeypatch.setattr(run, "log_artifact", broken)
        torch.save(WEIGHTS, "one.pt")
        torch.save(WEIGHTS, "two.pt")

    assert tracklib.get_run("latest").status == "completed"
    assert sum("the disk is gone" in record.message for record in caplog.records) <= 1


def test_a_fault_when_a_save_is_taken_down_does_not_reach_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is there."""

    def broken(*_: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(saves, "record_save", broken)
    with start():
        torch.save(WEIGHTS, "weights.pt")

    assert Path("weights.pt").exists()


def test_a_forked_child_records_nothing() -> None:
    """It saves as ever."""
    with start():
        child = os.fork()
        if child == 0:
            torch.save(WEIGHTS, "child.pt")
            os._exit(0)
        os.waitpid(child, 0)
        torch.save(WEIGHTS, "parent.pt")

    assert Path("child.pt").exists()
    assert names() == ["parent.pt"]


def test_a_worker_of_a_data_loader_records_nothing() -> None:
    """Though it is a fork of the training process."""

    class Cached(torch.utils.data.Dataset[torch.Tensor]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> torch.Tensor:
            torch.save(WEIGHTS, f"cache-{index}.pt")
            return torch.zeros(1)

    with start():
        batches = list(torch.utils.data.DataLoader(Cached(), num_workers=1))

    assert len(batches) == 2
    assert Path("cache-0.pt").exists()
    assert names() == []


def test_a_rank_above_zero_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of a job write the same files."""
    with start() as first:
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        with tracklib.start_run(project="saves", run_id=first.id):
            torch.save(WEIGHTS, "weights.pt")
        monkeypatch.delenv("RANK")
        monkeypatch.delenv("WORLD_SIZE")

    assert names() == []


def test_a_hook_costs_next_to_nothing_beside_a_save() -> None:
    """Taking down a save takes microseconds: a hundred of them less than a second on any machine."""
    with start() as run:
        torch.save(WEIGHTS, "weights.pt")
        saved = saves.Saved(str(Path("weights.pt").absolute()), "model", {})
        began = time.perf_counter()
        for _ in range(100):
            saves.record_save(run, saved)

        assert time.perf_counter() - began < 1.0
