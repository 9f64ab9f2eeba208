"""The options that decide how networks run, declared once for every command that embeds."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vta_cli.pipelines.lanes import Engine

PARAMETER = "engine"
"""What a command calls its parameter of this type."""


@dataclass(frozen=True)
class EngineOptions:
    """What the user asked for; a field is an option of the command line."""

    weights: Annotated[
        str | None,
        typer.Option(
            envvar="VTA_WEIGHTS", help="Weight file or folder; NAME=PATH,... for several backbones."
        ),
    ] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto"
    precision: Annotated[
        str, typer.Option(help="auto, fp32, bf16 or fp16; part of a vector's identity.")
    ] = "auto"
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Images per forward pass; default: found by itself. Halved when memory runs out.",
        ),
    ] = None
    exact_decode: Annotated[
        bool,
        typer.Option(
            "--exact-decode",
            help="Decode and resize as the network's own transform does, bit for bit: slower, "
            "other vectors.",
        ),
    ] = False
    compile: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Compile networks of torch first: takes a minute, pays from some ten thousand "
            "images on.",
        ),
    ] = False
    offline: Annotated[
        bool, typer.Option("--offline", help="Never try the network for weights.")
    ] = False

    def engine(self) -> "Engine":
        """Return what pipelines take.

        Raises
        ------
        UsageError
            For devices and precisions that there are none of.
        """
        from vta_cli.pipelines.lanes import Engine

        return Engine(
            device=self.device,
            precision=self.precision,
            weights=self.weights,
            batch_size=self.batch_size,
            offline=self.offline or None,
            exact=self.exact_decode,
            compiled=self.compile,
        )


ENGINE = EngineOptions()
"""Nothing asked for."""


def with_engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `EngineOptions` in place of its parameter `engine`."""
    names = [field.name for field in fields(EngineOptions)]

    def called(**given: Any) -> None:
        options = EngineOptions(**{name: given.pop(name) for name in names})
        command(**given, **{PARAMETER: options})

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name != PARAMETER:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=field.type,
            )
            for field in fields(EngineOptions)
        ]
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__module__ = command.__module__
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    return called
