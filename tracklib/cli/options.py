"""What commands share: the options that many take, examples in their help, and their way to fail."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

from tracklib.errors import ConfigError, TracklibError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

__all__ = [
    "Command",
    "Commands",
    "json_option",
    "named_values",
    "project_option",
    "store_option",
    "tag_options",
]


class _WithExamples(click.Command):
    """A command whose help ends with examples.

    Args:
        examples: Command lines.
    """

    def __init__(self, *arguments: Any, examples: Iterable[str] = (), **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, unwrapped."""
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class Command(_WithExamples):
    """A command with examples; use it as `@click.command(cls=Command, examples=[…])`."""


class Commands(_WithExamples, click.Group):
    """A group whose commands are imported when they are used, and that says in one line what went wrong.

    Args:
        homes: `module:attribute` by the name of a command.
        default: The command that is meant where none is named; by default the help is shown.
    """

    def __init__(
        self, *arguments: Any, homes: dict[str, str] | None = None, default: str | None = None, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.homes = homes or {}
        self.default = default

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were given."""
        return [*self.homes, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing it if need be."""
        if cmd_name in self.homes:
            module, _, attribute = self.homes[cmd_name].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        return super().get_command(ctx, cmd_name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the default command where options, or nothing, stand in the place of one."""
        if self.default and (not args or args[0].startswith("-")) and "--help" not in args[:1]:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant, or say which ones are near."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, self.list_commands(ctx), 3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error of tracklib becomes a line and an exit status."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise _Misuse(str(error)) from error
        except TracklibError as error:
            raise click.ClickException(str(error)) from error


class _Misuse(click.ClickException):
    exit_code = 2


def store_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--store`."""
    return click.option(
        "--store",
        metavar="URI",
        help="The store, such as sqlite:///runs.db. By default the one that runs started here go to.",
    )(function)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def project_option(text: str) -> Decorator:
    """Return what adds `--project`."""
    return click.option("--project", metavar="NAME", help=text)


def tag_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--tag` and `--untag`."""
    function = click.option("--untag", "untags", multiple=True, metavar="NAME", help="Remove a tag; repeatable.")(
        function
    )
    return click.option(
        "--tag", "tags", multiple=True, metavar="NAME=VALUE", callback=named_values, help="Set a tag; repeatable."
    )(function)


def named_values(_context: click.Context, parameter: click.Parameter, given: Iterable[str]) -> dict[str, str]:
    """Turn the words of a repeatable option `NAME=VALUE` into a mapping: a callback for click.

    Raises:
        BadParameter: A word has no `=`, or no name before it.
    """
    values = {}
    for word in given:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{word!r} is not of the form NAME=VALUE.", param=parameter)
        values[name] = value
    return values
