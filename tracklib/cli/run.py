"""`tracklib run`: start a program that is recorded without a line of it being changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import click

from tracklib.cli.options import Command, named_values, project_option, store_option

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["run"]


class _Launch(Command):
    """Leaves everything from the program's name on to the program, options included."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        place = self._end_of_options(context, args)
        return super().parse_args(context, [*args[:place], "--", *args[place:]])

    def _end_of_options(self, context: click.Context, args: list[str]) -> int:
        """Return where the program begins: at the first word that is no option of ours, or at `-m`."""
        options = [parameter for parameter in self.get_params(context) if isinstance(parameter, click.Option)]
        with_value = {name for option in options if not option.is_flag for name in option.opts}
        place = 0
        while place < len(args) and args[place].startswith("-") and args[place] not in {"-m", "--", "-"}:
            place += 2 if args[place] in with_value else 1
        return min(place, len(args))


@click.command(
    cls=_Launch,
    examples=[
        "tracklib run train.py --lr 1e-3",
        "tracklib run --project digits --tag team=vision -m package.train --lr 1e-3",
        "tracklib run -- torchrun --nproc-per-node 2 train.py",
    ],
)
@store_option
@project_option("The project of the run; by default the name of the repository or folder.")
@click.option("--experiment", metavar="NAME", help="The experiment of the run.")
@click.option(
    "--name", "run_name", metavar="NAME", help="The name of the run; by default made from the program's and the time."
)
@click.option(
    "--tag", "tags", multiple=True, metavar="NAME=VALUE", callback=named_values, help="Set a tag; repeatable."
)
@click.option(
    "--exclude", "autolog_exclude", metavar="PARTS", help="What not to watch, with commas between: saves,wandb."
)
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="PROGRAM [ARGS]...")
@click.pass_context
def run(context: click.Context, /, program: tuple[str, ...], **settings: object) -> None:
    """Run PROGRAM and record it: a script, a module with -m, or any command that starts Python.

    What Lightning and Hugging Face Trainers report, models that are saved, arguments, console output, code version,
    environment and use of the machine are recorded, and what the program tells TensorBoard, W&B or MLflow as well.
    The program takes the place of this command: input, output, signals and exit status are its own. So are all words
    behind its name.
    """
    words = list(program[1:]) if program[:1] == ("--",) else list(program)
    if not words:
        raise click.UsageError("name the program to run: tracklib run train.py --lr 1e-3", context)
    from tracklib.integrations.launcher import command_of, environment_of

    environment = environment_of(os.environ, **settings)
    try:
        command = command_of(words)
    except FileNotFoundError as error:
        raise click.ClickException(str(error)) from error
    _become(command, environment)


def _become(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Become the program, so that nothing stands between it and whoever started us."""
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - to run this very program is what was asked for
    except OSError as error:
        raise click.ClickException(f"{command[0]} cannot be run: {error.strerror}") from error
