"""The command line of the program, as params of its run.

What the program's own parser makes of it is recorded as soon as it is parsed: argparse (also below
`HfArgumentParser`), jsonargparse, `LightningCLI`, click, typer and fire. Only what comes from the command line counts,
and only where the program asks: a library that parses something for itself does not.

Known trade-offs:
    A program that reads `sys.argv` itself gets its params when its run ends, from `fallback`. Until then nobody can
    know whether a parser will come, whose names and types are better, and params under two names would be worse than
    late ones. If the process is killed they are missing; the command line itself is part of the run in any case.
    A second parser of the program counts if it parses what the first one left over.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tracklib.integrations.command_line import command_line, packages_of
from tracklib.integrations.imports import when_imported
from tracklib.integrations.patching import nested
from tracklib.integrations.session import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from tracklib import Run
    from tracklib.integrations.patching import Patches

__all__ = ["fallback", "install"]


def install(patches: Patches) -> None:
    """Listen to the parsers of the command line, as soon as they have been imported.

    Example:
        >>> from tracklib.integrations.patching import Patches
        >>> patches = Patches()
        >>> install(patches)
        >>> patches.undo()
    """
    command_line.begin()
    commands = _Commands()
    fire = _Fire()
    when_imported("argparse", lambda module: _listen_to_parsers(patches, module))
    when_imported("jsonargparse", lambda module: _listen_to_parsers(patches, module))
    for name in ("lightning.pytorch.cli", "pytorch_lightning.cli"):
        when_imported(name, lambda module: patches.wrap(module.LightningCLI, "parse_arguments", _around_lightning))
    for name in ("click.core", "typer._click.core"):
        when_imported(name, lambda module: commands.listen(patches, module))
    when_imported("fire.core", lambda module: fire.listen(patches, module))


def fallback(run: Run) -> None:
    """Record the command line in a run that is about to end, if no parser of the program has spoken.

    Example:
        >>> import tracklib
        >>> with tracklib.start_run(project="docs") as run:
        ...     fallback(run)
    """
    command_line.fall_back(run)


# ---- argparse, jsonargparse, LightningCLI


def _listen_to_parsers(patches: Patches, module: ModuleType) -> None:
    for method in ("parse_args", "parse_known_args", "parse_known_intermixed_args"):
        patches.wrap(module.ArgumentParser, method, _around_parsing)


def _around_parsing(
    original: Callable[..., Any], parser: Any, args: Sequence[str] | None = None, *arguments: Any, **keywords: Any
) -> Any:
    words = args if args is None or isinstance(args, (list, tuple)) else list(args)
    with nested("arguments") as inner:
        result = original(parser, words, *arguments, **keywords)
    if not inner:
        _parsed(parser, words, result)
    return result


@guarded()
def _parsed(parser: Any, args: Sequence[str] | None, result: Any) -> None:
    if command_line.gave(args) and command_line.is_asked_for({"argparse", *packages_of(type(parser))}):
        namespace, rest = result if isinstance(result, tuple) else (result, None)
        command_line.hear(_named(namespace), rest)


def _named(namespace: Any) -> dict[str, Any]:
    return dict(namespace.as_dict() if hasattr(namespace, "as_dict") else vars(namespace))


def _around_lightning(original: Callable[..., Any], cli: Any, *arguments: Any, **keywords: Any) -> Any:
    with nested("arguments"):
        result = original(cli, *arguments, **keywords)
    _configured(cli)
    return result


@guarded()
def _configured(cli: Any) -> None:
    command_line.hear(_named(cli.config))


# ---- click and typer


class _Commands:
    """Hears the commands that click runs, from that of the program to the innermost."""

    def __init__(self) -> None:
        self._root: Any = None

    def listen(self, patches: Patches, module: ModuleType) -> None:
        """Listen to a copy of click: its own, or that within typer."""
        patches.wrap(module.Command, "make_context", self._around_context)
        patches.wrap(module.Command, "invoke", self._around_invoke)

    def _around_context(
        self, original: Callable[..., Any], command: Any, info_name: Any, args: list[str], *more: Any, **keywords: Any
    ) -> Any:
        words = list(args) if isinstance(args, (list, tuple)) else []  # A copy: parsing takes them out.
        context = original(command, info_name, args, *more, **keywords)
        self._note(command, words, context)
        return context

    @guarded()
    def _note(self, command: Any, words: list[str], context: Any) -> None:
        is_new = context.parent is None and command_line.gave(words)
        if is_new and command_line.is_asked_for({"click", "typer", *packages_of(type(command))}):
            self._root = context

    def _around_invoke(self, original: Callable[..., Any], command: Any, ctx: Any) -> Any:
        with nested("commands") as inner:  # A group is done when its commands come; what they call themselves is not.
            if not inner:
                self._hear(ctx)
            return original(command, ctx)

    @guarded()
    def _hear(self, context: Any) -> None:
        if self._root is not None and context.find_root() is self._root:
            command_line.hear(dict(context.params))


# ---- fire


class _Fire:
    """Hears what fire is about to call a function or class of the program with."""

    def __init__(self) -> None:
        self._listening = False

    def listen(self, patches: Patches, module: ModuleType) -> None:
        """Listen below `fire.Fire`, which looks at the frame of its caller and so must not be replaced itself."""
        patches.wrap(module, "_Fire", self._around_fire)
        patches.wrap(module, "_MakeParseFn", self._around_parser)

    def _around_fire(self, original: Callable[..., Any], component: Any, args: Any, *more: Any, **keywords: Any) -> Any:
        before = self._listening
        self._listening = not before and self._is_meant(args)
        try:
            return original(component, args, *more, **keywords)
        finally:
            self._listening = before

    @guarded(default=False)
    def _is_meant(self, args: Any) -> bool:
        return command_line.gave(list(args)) and command_line.is_asked_for({"fire"})

    def _around_parser(self, original: Callable[..., Any], function: Any, *more: Any, **keywords: Any) -> Any:
        parse = original(function, *more, **keywords)
        if not self._listening:
            return parse

        def heard(args: Any) -> Any:
            result = parse(args)
            self._hear(function, result)
            return result

        return heard

    @guarded()
    def _hear(self, function: Any, result: Any) -> None:
        (positional, named), *_ = result
        bound = inspect.signature(function).bind(*positional, **named)
        bound.apply_defaults()
        params = dict(bound.arguments)
        for name, parameter in bound.signature.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                params.update(params.pop(name))
        command_line.hear(params)
