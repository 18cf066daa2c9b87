"""How much params have to do with a metric: on functions whose answer is known, and where nothing can be said."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tracklib
from tests.analysis.recorded import STORE, recorded_runs
from tracklib.errors import MissingDependency, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.analysis.importance import Importance

pytestmark = pytest.mark.usefixtures("bare")


def importance_of(
    function: Callable[[dict[str, Any]], float],
    *,
    runs: int = 120,
    params: Callable[[Any], dict[str, Any]],
    **options: Any,
) -> Importance:
    """Return what is found of a function of params that are drawn at random."""
    random = np.random.default_rng(7)
    given = [params(random) for _ in range(runs)]
    recorded = recorded_runs((each, {"loss": function(each)}) for each in given)
    return tracklib.param_importance(recorded, "loss", **options)


def ten(random: Any) -> dict[str, Any]:
    return {f"p{number}": float(random.random()) for number in range(10)}


# ---- known functions


def test_one_of_ten_params_is_found() -> None:
    """It has the score, the correlations, and the sentence; the others have next to nothing."""
    found = importance_of(lambda p: 3 * p["p4"], params=ten)

    first, *others = found.params
    assert first.name == "p4"
    assert first.score is not None
    assert first.score > 1.0
    assert first.pearson is not None
    assert first.pearson.r == pytest.approx(1.0)
    assert max(abs(param.score or 0.0) for param in others) < 0.1
    assert found.is_reliable
    assert found.conclusion.startswith("The model explains 9")
    assert "p4 (" in found.conclusion


def test_a_category_is_found() -> None:
    """By the model and by the part of the variance that lies between its levels; it has no correlation."""
    heights = {"adam": 0.0, "sgd": 2.0, "rms": 1.0}
    found = importance_of(
        lambda p: heights[p["optimizer"]] + 0.1 * p["p0"],
        params=lambda random: {**ten(random), "optimizer": str(random.choice(list(heights)))},
    )

    first = found.params[0]
    assert (first.name, first.kind, first.pearson, first.spearman) == ("optimizer", "category", None, None)
    assert first.eta_squared is not None
    assert first.eta_squared > 0.95
    assert found.is_reliable


def test_an_interaction_is_found_where_correlations_see_nothing() -> None:
    """Two params that matter only together."""
    found = importance_of(
        lambda p: float(p["a"] != p["b"]) + 0.01 * p["c"],
        params=lambda random: {
            "a": bool(random.random() < 0.5),
            "b": bool(random.random() < 0.5),
            "c": float(random.random()),
        },
    )

    assert {param.name for param in found.params[:2]} == {"a", "b"}
    assert found.is_reliable
    for name in "ab":
        param = found[name]
        assert (param.kind, param.scale) == ("flag", None)
        assert param.spearman is not None
        assert abs(param.spearman.r) < 0.3
        assert param.score is not None
        assert param.score > 0.5


def test_noise_is_not_explained() -> None:
    """And the words forbid to rely on it."""
    random = np.random.default_rng(3)
    found = importance_of(lambda _: float(random.normal()), params=ten)

    assert found.fit is not None
    assert found.fit.r2 < 0.1
    assert not found.is_reliable
    assert "do not rely on the scores" in found.conclusion
    strengths = [max(abs(p.pearson.r), abs(p.spearman.r)) for p in found.params if p.pearson and p.spearman]
    assert strengths == sorted(strengths, reverse=True)


def test_the_log_scale_is_found() -> None:
    """Of a learning rate and of a loss that both span magnitudes."""
    found = importance_of(
        lambda p: 10.0 * p["lr"],
        params=lambda random: {"lr": float(10 ** random.uniform(-5, -1)), "epochs": int(random.integers(1, 1000))},
    )

    assert (found["lr"].scale, found["epochs"].scale) == ("log", "linear")
    assert found.fit is not None
    assert found.fit.metric_scale == "log"
    assert found.fit.r2 > 0.95


def test_the_same_seed_gives_the_same_scores() -> None:
    """To the last bit; another one gives others."""
    runs = recorded_runs(({"a": float(i % 7), "b": float(i % 5)}, {"loss": float(i % 7)}) for i in range(60))

    one, again, other = (tracklib.param_importance(runs, "loss", seed=seed) for seed in (1, 1, 2))

    assert one.to_dict() == again.to_dict()
    assert one.params[0].score != other.params[0].score


def test_the_order_of_runs_does_not_hide_what_matters() -> None:
    """Runs that lie in blocks are dealt to the folds at random."""
    runs = recorded_runs(({"a": i // 20, "b": i % 20}, {"loss": float(i // 20)}) for i in range(100))

    assert tracklib.param_importance(runs, "loss").params[0].name == "a"


# ---- what cannot be told


def test_params_that_change_together_share_a_score() -> None:
    """Be they numbers or text; which of them matters cannot be told."""
    rows = [("lenet", 0.01, 128), ("alexnet", 0.001, 256), ("resnet", 0.0001, 512)]
    runs = recorded_runs(
        (
            {"model": rows[i % 3][0], "lr": rows[i % 3][1], "batch": rows[i % 3][2], "seed": i},
            {"accuracy": i % 3 + 0.01 * (i % 7)},
        )
        for i in range(30)
    )

    found = tracklib.param_importance(runs, "accuracy")

    assert {param.name for param in found.params[:3]} == {"model", "lr", "batch"}
    assert len({param.score for param in found.params[:3]}) == 1
    assert sorted(found["lr"].together_with) == ["batch", "model"]
    assert found["seed"].together_with == ()
    assert "model, lr and batch always change together: which of them matters cannot be told." in found.cautions


def test_numbers_that_nearly_change_together_are_named() -> None:
    """Their scores are divided between them."""
    random = np.random.default_rng(0)
    found = importance_of(
        lambda p: p["a"] + p["b"],
        params=lambda _: {"a": (a := float(random.random())), "b": a + 0.01 * float(random.random())},
    )

    assert found.cautions == ("a and b nearly always change together: a score may belong to the other as well.",)


def test_constant_and_unique_params_are_listed_without_scores() -> None:
    """Last, with the reason."""
    runs = recorded_runs(
        ({"a": i % 5, "data": "cifar", "path": f"/runs/{i}"}, {"loss": float(i % 5)}) for i in range(40)
    )

    found = tracklib.param_importance(runs, "loss")

    assert [(param.name, param.kind) for param in found.params] == [
        ("a", "number"),
        ("data", "constant"),
        ("path", "unique"),
    ]
    assert [(p.score, p.pearson, p.eta_squared) for p in found.params[1:]] == [(None, None, None)] * 2
    assert found.cautions == (
        "Without scores, being the same in all runs: data.",
        "Without scores, being different in nearly every run: path.",
    )


def test_missing_params_are_a_value_of_their_own() -> None:
    """A number that is None, or not there, in some runs is still a number; its absence may be what matters."""
    runs = recorded_runs(
        (
            {"clip": None if i % 4 == 0 else 0.1 * (i % 7 + 1)} | ({"decay": 0.1} if i % 3 else {}),
            {"loss": float(i % 4 == 0)},
        )
        for i in range(84)
    )

    found = tracklib.param_importance(runs, "loss")

    clip, decay = found["clip"], found["decay"]
    assert (clip.kind, clip.missing, clip.distinct) == ("number", 21, 7)
    assert clip.pearson is None  # Where it is there, the loss is constant.
    assert clip.score is not None
    assert clip.score > 1.0
    assert (decay.kind, decay.missing, decay.distinct) == ("category", 28, 1)


def test_runs_without_a_number_are_left_out_and_said() -> None:
    """Missing, NaN and infinite; a run that is given twice counts once."""
    rows: list[tuple[dict[str, Any], dict[str, float]]] = [({"a": i % 5}, {"loss": float(i % 5)}) for i in range(30)]
    runs = recorded_runs(
        [*rows, ({"a": 1}, {"loss": math.nan}), ({"a": 1}, {"loss": math.inf}), ({"a": 1}, {"x": 1.0})]
    )

    found = tracklib.param_importance([*runs, runs[0]], "loss")

    assert (found.runs, found.without_metric, found.not_finite) == (30, 1, 2)
    assert found.cautions[:2] == ("1 run without loss left out.", "2 runs left out whose loss is NaN or infinite.")


def test_few_runs_have_correlations_only() -> None:
    """With p-values that are exact where t would claim too much."""
    runs = recorded_runs(({"lr": 10.0**-i, "net": "a"}, {"loss": float(i)}) for i in range(1, 5))

    found = tracklib.param_importance(runs, "loss")

    lr = found["lr"]
    assert found.fit is None
    assert not found.is_reliable
    assert lr.score is None
    assert lr.spearman is not None
    assert (lr.spearman.r, lr.spearman.p) == (-1.0, pytest.approx(2 / 24))  # type: ignore[comparison-overlap] # As one.
    assert found.conclusion.startswith("There is no model: it takes 20 runs, and there are 4.")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "No run has a value of loss"),
        ([({"a": 1}, {"loss": math.nan})], "No run has a value of loss"),
        ([({"a": i}, {"loss": 0.5}) for i in range(30)], "All values of loss are the same"),
        ([({"a": 1}, {"loss": float(i)}) for i in range(30)], "No param differs between the runs"),
        ([({}, {"loss": float(i)}) for i in range(30)], "No param differs between the runs"),
        ([({"a": 1}, {"loss": 1.0})], "All values of loss are the same"),
    ],
)
def test_nothing_to_tell_is_told(rows: list[Any], words: str) -> None:
    """In words, with no scores, and as a table that may be empty."""
    found = tracklib.param_importance(recorded_runs(rows) if rows else [], "loss")

    assert found.conclusion.startswith(words)
    assert found.fit is None
    assert all(param.score is None for param in found.params)
    assert words in str(found)
    assert words in found._repr_html_()
    assert len(found.to_pandas()) == len(found.params)


# ---- what is asked for


def test_params_are_chosen_by_name_or_by_group() -> None:
    """A dotted prefix stands for all below it; an unknown one is not found."""
    runs = recorded_runs(
        ({"model": {"depth": i % 3, "width": i % 4}, "modelling": i % 2, "lr": i}, {"loss": float(i)})
        for i in range(24)
    )

    found = tracklib.param_importance(runs, "loss", params=["model"])

    assert {param.name for param in found.params} == {"model.depth", "model.width"}
    with pytest.raises(NotFound, match=r"no run has a param 'model.dept'; near names: model.depth"):
        tracklib.param_importance(runs, "loss", params=["model.dept"])
    with pytest.raises(NotFound, match="no run has a metric 'los'; near names: loss"):
        tracklib.param_importance(runs, "los")
    with pytest.raises(NotFound, match="there is no param 'lr' in this; there are: model"):
        found["lr"]


def test_runs_may_be_given_by_id() -> None:
    """And the statistic chosen."""
    runs = recorded_runs(({"a": i % 5}, {"loss": [float(i % 5), 9.0]}) for i in range(30))

    found = tracklib.param_importance([run.id for run in runs], "loss", statistic="min", store=STORE)

    assert (found.statistic, found.params[0].name, found.is_reliable) == ("min", "a", True)


# ---- what it gives


def shown() -> Importance:
    runs = recorded_runs(({"a<b": i % 5, "net": "xy"[i % 2]}, {"loss": float(i % 5)}) for i in range(40))
    return tracklib.param_importance(runs, "loss")


def test_it_shows_itself() -> None:
    """As a table and in words; as HTML with everything escaped."""
    found = shown()

    lines = str(found).splitlines()
    assert lines[0] == "loss (last) in 40 runs"
    assert lines[1].split()[:3] == ["param", "kind", "score"]
    assert lines[2].split()[:2] == ["a<b", "number"]
    assert lines[-1].endswith("(2.00) matters most; no other param adds much.") or "matters most" in lines[-1]
    assert repr(found).startswith("<Importance of 2 params for loss: 40 runs, R²")
    assert "a<b" not in found._repr_html_()


def test_it_is_a_data_frame_and_plain_data() -> None:
    """A row for each param; JSON takes the rest as it is."""
    found = shown()

    frame = found.to_pandas()
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert frame["param"].tolist() == ["a<b", "net"]
    assert frame["pearson"].isna().tolist() == [False, True]
    assert [param["name"] for param in plain["params"]] == ["a<b", "net"]
    assert plain["fit"]["is_reliable"] is True
    assert plain["conclusion"] == found.conclusion


@pytest.mark.parametrize("missing", ["scipy", "sklearn"])
def test_missing_libraries_are_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    runs = recorded_runs(({"a": i % 5}, {"loss": float(i % 5)}) for i in range(3))
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(MissingDependency, match=r"pip install 'tracklib-ml\[analysis\]'"):
        tracklib.param_importance(runs, "loss")


def test_a_thousand_runs_are_answered_at_once() -> None:
    """With twenty params of all kinds; what matters is found among them."""
    random = np.random.default_rng(0)
    params: list[dict[str, Any]] = [
        {
            **{f"p{number}": float(random.random()) for number in range(15)},
            "lr": float(10 ** random.uniform(-5, -1)),
            "optimizer": str(random.choice(["adam", "sgd", "rms"])),
            "nesterov": bool(random.random() < 0.5),
            "clip": None if random.random() < 0.3 else float(random.random()),
            "activation": str(random.choice(list("abcdefgh"))),
        }
        for _ in range(1000)
    ]
    runs = recorded_runs(
        (
            each,
            {
                "loss": (math.log10(each["lr"]) + 3) ** 2
                + 2 * (each["optimizer"] == "adam")
                + float(random.normal(0, 0.3))
            },
        )
        for each in params
    )

    found = tracklib.param_importance(runs, "loss")

    assert [param.name for param in found.params[:2]] == ["lr", "optimizer"]
    assert found.fit is not None
    assert found.fit.r2 > 0.85
    assert all(abs(param.score or 0.0) < 0.02 for param in found.params[2:])
