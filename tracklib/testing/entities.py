"""One of each entity with no field left at its default, so that a test sees when a store forgets one."""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields
from typing import TYPE_CHECKING, Any, Final

from tracklib.model import (
    Alias,
    Artifact,
    ArtifactFile,
    ArtifactUse,
    Environment,
    Experiment,
    ExperimentStatus,
    Gpu,
    Project,
    ProjectSettings,
    Resources,
    RunError,
    Source,
    SourceType,
)
from tracklib.values import jsonable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "ALIAS",
    "ARTIFACT",
    "ENVIRONMENT",
    "ERROR",
    "EXPERIMENT",
    "PROJECT",
    "RESOURCES",
    "SOURCE",
    "USE",
    "as_data",
    "untouched",
]

_ODD: Final = "ünïcode, 'quotes', \"doubles\", \\backslash\nsecond line\ttab 🙂"

PROJECT: Final = Project(
    id="01HF0000000000000000000001",
    name="digits / vision",
    description=_ODD,
    owner="ada",
    team="vision",
    tags={"a": "b", "ключ": "значение"},
    settings=ProjectSettings(
        experiment_defaults={"hypothesis": "none", "tags": {"x": "y"}},
        primary_metrics=("eval/accuracy", "eval/loss"),
        higher_is_better={"eval/accuracy": True, "eval/loss": False},
        chart_types={"eval/loss": "line"},
        auto_archive_days=30.5,
        keep_best_runs=3,
        keep_recent_runs=10,
    ),
    created_at=1_700_000_000.25,
    updated_at=1_700_000_001.5,
    archived_at=1_700_000_002.75,
)

EXPERIMENT: Final = Experiment(
    id="01HF0000000000000000000002",
    project="digits / vision",
    name="lr-sweep",
    description=_ODD,
    hypothesis="1e-3 is best",
    status=ExperimentStatus.ARCHIVED,
    tags={"stage": "first"},
    created_by="ada",
    created_at=1_700_000_010.25,
    updated_at=1_700_000_011.5,
    archived_at=1_700_000_012.75,
)

SOURCE: Final = Source(
    source_type=SourceType.GIT,
    repository_url="https://example.org/ada/digits.git",
    commit="0123456789abcdef0123456789abcdef01234567",
    branch="feature/ünïcode",
    tag="v1.0",
    dirty=True,
    diff=f"--- a/train.py\n+++ b/train.py\n+{_ODD}\n",
    untracked={"notes.txt": _ODD, "sub/empty.py": ""},
    skipped={"weights.bin": "binary", "diff": "cut at 1,000,000 bytes"},
    entry_point="train.py",
    snapshot="ab" * 32,
    command_line=("python", "train.py", "--name", _ODD),
    directory="/home/ada/digits",
)

ENVIRONMENT: Final = Environment(
    python_version="3.11.7",
    python_implementation="CPython",
    packages={"numpy": "2.0.0", "torch": "2.4.0+cu121"},
    frameworks={"torch": "2.4.0+cu121"},
    conda_environment="base",
    container={"engine": "docker", "image": "pytorch:latest"},
    variables={"RANK": "0", "CUDA_VISIBLE_DEVICES": "GPU-1,GPU-2"},
    os="Debian GNU/Linux 12",
    platform="Linux-6.1-x86_64",
    hostname="node-1",
    cpu_model="A CPU",
    cpu_count=16,
    cpu_count_physical=8,
    memory_bytes=1 << 40,
    gpus=(
        Gpu(uuid="GPU-1", name="A GPU", index=0, memory_bytes=80 << 30),
        Gpu(uuid="MIG-2", name="A part of one", index=1, memory_bytes=None, mig=True),
    ),
    driver_version="550.54",
    cuda_version="12.4",
)

RESOURCES: Final = Resources(
    gpu_hours=1.5, cpu_hours=12.25, memory_gb_hours=64.0, storage_gb=0.125, energy_kwh=0.75, cost=3.5
)

ERROR: Final = RunError(type="ValueError", message=_ODD, traceback="Traceback (most recent call last):\n  …\n")

ARTIFACT: Final = Artifact(
    id="01HF0000000000000000000003",
    run="01HF0000000000000000000004",
    name="classifier / best",
    type="model",
    project="digits / vision",
    version=2,
    path="checkpoints/best",
    size=12,
    checksum="cd" * 32,
    metadata={"accuracy": 0.75, "layers": [1, 2], "nested": {"text": _ODD, "none": None}},
    step=1200,
    created_at=1_700_000_020.5,
    files=(
        ArtifactFile(path="config.json", size=4, checksum="12" * 32),
        ArtifactFile(path="weights/ünïcode.bin", size=8, checksum="34" * 32),
    ),
    aliases=("best", "prod / eu"),
    score=0.75,
)

ALIAS: Final = Alias(
    project="digits / vision",
    name="classifier / best",
    alias="ünïcode",
    version=2,
    score=0.5,
    time=1_700_000_021.5,
    run="01HF0000000000000000000004",
    checksum="cd" * 32,
)

USE: Final = ArtifactUse(
    artifact="01HF0000000000000000000003",
    project="digits / vision",
    name="classifier / best",
    version=2,
    checksum="cd" * 32,
    time=1_700_000_022.5,
    run="01HF0000000000000000000005",
)


def as_data(entity: DataclassInstance) -> dict[str, Any]:
    """Return an entity as the data of a record: its fields as JSON says them."""
    data: dict[str, Any] = jsonable(asdict(entity))
    return data


def untouched(entity: DataclassInstance) -> list[str]:
    """Return the names of the fields that have their default: those that an example says nothing of.

    Example:
        >>> untouched(Resources(cost=1.0))
        ['gpu_hours', 'cpu_hours', 'memory_gb_hours', 'storage_gb', 'energy_kwh']
    """
    found = []
    for field in fields(entity):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if getattr(entity, field.name) == default:
            found.append(field.name)
    return found
