"""Records what a program runs on and with: Python and its packages, container, machine, and how it was placed."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from tracklib.capture.container import container_hints
from tracklib.capture.hardware import cpu_count, cpu_model, memory_bytes, operating_system, physical_cpu_count
from tracklib.capture.redact import mask_params
from tracklib.capture.source_files import readable
from tracklib.model import Environment

__all__ = ["FRAMEWORKS", "VARIABLES", "VARIABLE_PREFIXES", "capture_environment"]

_ROOT = Path("/")

FRAMEWORKS = frozenset(
    {"torch", "torchvision", "torchaudio", "torchtune", "lightning", "pytorch-lightning", "lightning-fabric", "ignite"}
    | {"pytorch-ignite", "transformers", "accelerate", "peft", "trl", "datasets", "tokenizers", "diffusers", "timm"}
    | {
        "sentence-transformers",
        "safetensors",
        "deepspeed",
        "flash-attn",
        "xformers",
        "triton",
        "bitsandbytes",
        "unsloth",
    }
    | {
        "vllm",
        "tensorflow",
        "tensorflow-cpu",
        "keras",
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "equinox",
        "mlx",
        "paddlepaddle",
    }
    | {"mindspore", "fastai", "composer", "mosaicml", "megatron-core", "nemo-toolkit", "ray", "horovod", "optuna"}
    | {"scikit-learn", "xgboost", "lightgbm", "catboost", "statsmodels", "numpy", "scipy", "pandas", "polars", "cupy"}
    | {"stable-baselines3", "gymnasium", "torch-geometric", "dgl", "monai", "onnx", "onnxruntime"}
)
"""The distributions that are named among `frameworks`, where they are installed."""

VARIABLES = frozenset(
    {"RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "ROLE_WORLD_SIZE"}
    | {"GROUP_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_HOME"}
    | {"CUDA_LAUNCH_BLOCKING", "CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_MODULE_LOADING", "NVIDIA_VISIBLE_DEVICES"}
    | {"NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_TF32_OVERRIDE", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"}
    | {"GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK", "TPU_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "PYTHONHASHSEED"}
    | {"PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "PYTORCH_ENABLE_MPS_FALLBACK", "TORCH_CUDA_ARCH_LIST"}
    | {"TORCH_DISTRIBUTED_DEBUG", "TORCH_CPP_LOG_LEVEL", "TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE"}
    | {
        "TF_DETERMINISTIC_OPS",
        "TF_FORCE_GPU_ALLOW_GROWTH",
        "TF_XLA_FLAGS",
        "XLA_FLAGS",
        "XLA_PYTHON_CLIENT_PREALLOCATE",
    }
    | {"XLA_PYTHON_CLIENT_MEM_FRACTION", "JAX_PLATFORMS", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION"}
    | {"TOKENIZERS_PARALLELISM", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HOME"}
    | {
        "OMP_NUM_THREADS",
        "OMP_PROC_BIND",
        "OMP_PLACES",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    }
    | {"VECLIB_MAXIMUM_THREADS", "NUMEXPR_MAX_THREADS", "KMP_AFFINITY", "KMP_BLOCKTIME", "MALLOC_CONF", "LD_PRELOAD"}
    | {"PBS_JOBID", "PBS_JOBNAME", "PBS_QUEUE", "PBS_NUM_PPN", "JOB_ID", "JOB_NAME", "SGE_TASK_ID", "LSB_JOBID"}
    | {"LSB_JOBNAME", "LSB_QUEUE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"}
    | {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "CONDA_DEFAULT_ENV"}
)
"""The environment variables that are recorded, where they are set."""

VARIABLE_PREFIXES = ("SLURM_", "NCCL_", "TORCHELASTIC_", "TORCH_NCCL_", "GLOO_", "ACCELERATE_", "FSDP_")
"""Variables that begin so are recorded as well."""

_HEADER = re.compile(r"^(Name|Version):[ \t]*(.+?)[ \t]*\r?$", re.MULTILINE)


def capture_environment(root: Path = _ROOT, *, environ: Mapping[str, str] | None = None) -> Environment:
    """Record everything about the environment but GPUs. It takes some tens of milliseconds, and imports no framework.

    Of the environment variables only `VARIABLES` and those with `VARIABLE_PREFIXES` are recorded, with secrets masked.

    Args:
        root: What stands for `/` where the operating system's own files are read.
        environ: The environment variables; the process's by default.

    Example:
        >>> environment = capture_environment()
        >>> environment.python_version == platform.python_version(), "numpy" in environment.packages
        (True, True)
    """
    environ = os.environ if environ is None else environ
    packages = _packages()
    return Environment(
        python_version=platform.python_version(),
        python_implementation=platform.python_implementation(),
        packages=packages,
        frameworks={name: version for name, version in packages.items() if name in FRAMEWORKS},
        conda_environment=_conda_environment(environ, (Path(sys.prefix), Path(sys.base_prefix))),
        container=container_hints(root, environ=environ),
        variables=_variables(environ),
        os=operating_system(root),
        platform=platform.platform(),
        hostname=readable(platform.node()),
        cpu_model=cpu_model(root),
        cpu_count=cpu_count(root),
        cpu_count_physical=physical_cpu_count(root),
        memory_bytes=memory_bytes(root),
    )


def _packages(path: list[str] | None = None) -> dict[str, str]:
    """Return the version of each installed distribution by its normalized name (`scikit-learn`), sorted.

    Args:
        path: Folders to search; `sys.path` by default. Of a distribution that is there twice, the first is the one that
            is imported.
    """
    packages: dict[str, str] = {}
    for found in _distributions(path):
        entries = dict(reversed(_HEADER.findall(_description(found).partition("\n\n")[0])))
        if "Name" in entries:
            name = re.sub(r"[-_.]+", "-", entries["Name"]).lower()
            packages.setdefault(readable(name), readable(entries.get("Version", "")))
    return dict(sorted(packages.items()))


def _distributions(path: list[str] | None) -> Iterator[metadata.Distribution]:
    # Finders of other tools take part in the search, and may fail in their own ways.
    try:
        yield from metadata.distributions() if path is None else metadata.distributions(path=path)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError):
        return


def _description(found: metadata.Distribution) -> str:
    """Return the text that describes a distribution. To parse it as the mail that it is takes ten times as long."""
    try:
        return found.read_text("METADATA") or found.read_text("PKG-INFO") or found.read_text("") or ""
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # Damaged: the others are worth having.
        return ""


def _conda_environment(environ: Mapping[str, str], prefixes: tuple[Path, ...]) -> str | None:
    """Return the name of the conda environment that this Python belongs to; an active one that it is not in is none."""
    for prefix in prefixes:
        if (prefix / "conda-meta").is_dir():
            is_active = environ.get("CONDA_PREFIX") == str(prefix)
            return (environ.get("CONDA_DEFAULT_ENV") if is_active else None) or prefix.name
    return None


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    chosen = {
        name: readable(value)
        for name, value in sorted(environ.items())
        if name in VARIABLES or name.startswith(VARIABLE_PREFIXES)
    }
    return mask_params(chosen)
