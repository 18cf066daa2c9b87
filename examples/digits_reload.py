"""Load the model that digits_torch.py has recorded, and see that it is as good as it was.

python examples/digits_torch.py
python examples/digits_reload.py digits/classifier:best
"""

from __future__ import annotations

import argparse

from digits_torch import build_model, evaluate, load_data

import tracklib


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="Load a recorded model and evaluate it again.")
    parser.add_argument("model", nargs="?", default="digits/classifier:latest", help="default: %(default)s")
    return parser.parse_args()


def main() -> None:
    """Compare the recorded accuracy with that of the model as it is loaded back, as a run that uses the model."""
    args = parse_arguments()
    with tracklib.start_run("digits", "reload") as run:
        artifact = run.use_artifact(args.model)
        width = artifact.metadata["hidden"]
        model = tracklib.load_model(args.model, into=build_model(width))

        metrics, _ = evaluate(model, load_data()[1])
        run.log(metrics, step=0, context="eval")
        recorded = artifact.metadata["accuracy"]
        print(f"{artifact.name} v{artifact.version}: accuracy {metrics['accuracy']:.2%}, recorded {recorded:.2%}")
        if metrics["accuracy"] != recorded:
            raise SystemExit("the loaded model is not the recorded one")


if __name__ == "__main__":
    main()
