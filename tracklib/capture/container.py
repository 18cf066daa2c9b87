"""Looks for signs of the container that a process runs in: Docker, Podman, Kubernetes, Singularity and others."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from tracklib.capture.redact import mask_text

__all__ = ["container_hints"]

_ROOT = Path("/")
_MAX_BYTES = 65_536
_ID = re.compile(r"(?<![0-9a-f])(?P<id>[0-9a-f]{64})(?![0-9a-f])")
_MOUNTED_ID = re.compile(r"/containers/(?:overlay-containers/)?(?P<id>[0-9a-f]{64})/")
# The engine that made a control group or a mount, by a word in its path.
_ENGINES = (
    ("kubepods", "kubernetes"),
    ("libpod", "podman"),
    ("/docker", "docker"),
    ("docker-", "docker"),
    ("crio", "cri-o"),
    ("containerd", "containerd"),
)
# Where images, schedulers and services say what an image is called: the first that is set counts.
_IMAGE_VARIABLES = (
    "APPTAINER_CONTAINER",
    "SINGULARITY_CONTAINER",
    "CONTAINER_IMAGE",
    "DOCKER_IMAGE",
    "DOCKER_IMAGE_NAME",
    "IMAGE_NAME",
    "SLURM_CONTAINER_IMAGE",
    "CI_JOB_IMAGE",
    "TRAINING_IMAGE",
)
_NAMES = {
    "pod": ("POD_NAME", "MY_POD_NAME", "K8S_POD_NAME", "KUBERNETES_POD_NAME"),
    "namespace": ("POD_NAMESPACE", "MY_POD_NAMESPACE", "K8S_NAMESPACE", "KUBERNETES_NAMESPACE"),
    "node": ("NODE_NAME", "MY_NODE_NAME", "K8S_NODE_NAME", "KUBERNETES_NODE_NAME"),
}
_NAMESPACE_FILE = "var/run/secrets/kubernetes.io/serviceaccount/namespace"


def container_hints(root: Path = _ROOT, *, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what is known of the container, sorted by name; empty outside of one.

    The names are `engine`, `id`, `image`, `name`, and in Kubernetes `pod`, `namespace` and `node`.

    Args:
        root: What stands for `/`.
        environ: The environment variables; the process's by default.
    """
    environ = os.environ if environ is None else environ
    hints = _from_files(root, environ) | _from_singularity(environ)
    if "KUBERNETES_SERVICE_HOST" in environ or hints.get("engine") == "kubernetes":
        hints |= _from_kubernetes(root, environ)
    if hints:
        image = next((environ[name] for name in _IMAGE_VARIABLES if environ.get(name)), "")
        hints.setdefault("image", image)
    return {name: mask_text(value) for name, value in sorted(hints.items()) if value}


def _from_files(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    groups = _text(root / "proc/self/cgroup")
    # With a namespace of control groups, only the mounts of /etc/hostname and the like still name the container.
    found = _ID.search(groups) or _MOUNTED_ID.search(_text(root / "proc/self/mountinfo"))
    engine = next((engine for word, engine in _ENGINES if found and word in groups), "")
    if not engine and (root / ".dockerenv").exists():
        engine = "docker"
    if (root / "run/.containerenv").exists():
        engine = "podman"
    engine = engine or environ.get("container", "") or _text(root / "run/systemd/container").strip()
    if not engine:
        return {}
    return {"engine": engine, "id": found["id"] if found else ""} | _podman(_text(root / "run/.containerenv"))


def _podman(text: str) -> dict[str, str]:
    """Return what Podman tells a container of itself, where it tells anything."""
    entries = dict(re.findall(r'^(\w+)="([^"\n]*)"$', text, re.MULTILINE))
    return {name: entries[name] for name in ("id", "image", "name") if entries.get(name)}


def _from_singularity(environ: Mapping[str, str]) -> dict[str, str]:
    for engine in ("apptainer", "singularity"):
        prefix = engine.upper()
        if environ.get(f"{prefix}_CONTAINER") or environ.get(f"{prefix}_NAME"):
            return {"engine": engine, "name": environ.get(f"{prefix}_NAME", "")}
    return {}


def _from_kubernetes(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    hints = {"engine": "kubernetes"}
    for hint, names in _NAMES.items():
        hints[hint] = next((environ[name] for name in names if environ.get(name)), "")
    # Unless it is told otherwise, Kubernetes names the host of a container after the pod.
    hints["pod"] = hints["pod"] or environ.get("HOSTNAME", "") or _text(root / "etc/hostname").strip()
    hints["namespace"] = hints["namespace"] or _text(root / _NAMESPACE_FILE).strip()
    return hints


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:  # Another system, or not ours to read.
        return ""
