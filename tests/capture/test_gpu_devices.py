"""The rules of CUDA_VISIBLE_DEVICES, without any device."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracklib.capture.gpu_devices import Device, visible_devices, visible_entries

UUIDS = ("GPU-aa11", "GPU-aa22", "GPU-bb33")
GPUS = [Device(gpu=index, uuid=uuid, gpu_uuid=uuid, name="H100", handle=None) for index, uuid in enumerate(UUIDS)]

entries = st.sampled_from(["0", "1", "2", "3", "-1", "", " 1", "1x", "x", "GPU-aa", "GPU-bb", *UUIDS, "MIG-1"])
values = st.one_of(st.text(), st.lists(entries).map(",".join))


def visible(variable: str | None) -> list[int]:
    return [device.gpu for device in visible_devices(GPUS, variable)]


def test_not_set() -> None:
    """Without the variable all devices are visible."""
    assert visible(None) == [0, 1, 2]


def test_numbers_are_read_as_c_does() -> None:
    """Blanks, signs and what follows a number are let pass."""
    assert visible(" 2, +0,1gpu") == [2, 0, 1]


def test_first_entry_decides_the_kind() -> None:
    """A UUID among numbers ends the list, and a number among UUIDs does."""
    assert visible("1,GPU-bb") == [1]
    assert visible("GPU-bb,1") == [2]


def test_named_twice() -> None:
    """Two prefixes of one UUID name it twice: then no device is visible."""
    assert visible("GPU-bb,GPU-bb33") == []
    assert visible("GPU-aa11,GPU-aa11") == []


def test_instances_of_one_gpu() -> None:
    """A number stands for all instances of a divided GPU, a name for one."""
    instances = [
        Device(gpu=1, uuid=f"MIG-{n}", gpu_uuid="GPU-aa22", name="H100 MIG", handle=None, parent=1, instance=(n, 0))
        for n in (4, 5)
    ]
    devices = [GPUS[0], *instances]

    assert visible_devices(devices, "1") == tuple(instances)
    assert visible_devices(devices, "MIG-5") == (instances[1],)
    assert visible_devices(devices, "MIG-GPU-aa22/4/0") == (instances[0],)
    assert visible_devices(devices, "0,1") == tuple(devices)


@given(values)
def test_any_value_is_understood(variable: str) -> None:
    """Whatever the variable holds, each device is shown at most once."""
    shown = visible(variable)

    assert len(shown) == len(set(shown))
    assert len(shown) <= len(visible_entries(variable))


@given(st.permutations(UUIDS), st.integers(min_value=0, max_value=3))
def test_order_is_kept(uuids: list[str], count: int) -> None:
    """Devices come in the order in which they are named."""
    assert [device.uuid for device in visible_devices(GPUS, ",".join(uuids[:count]))] == uuids[:count]
