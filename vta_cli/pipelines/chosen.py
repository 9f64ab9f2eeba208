"""Which classes or tags a score speaks of, chosen anew when scoring."""

from collections.abc import Sequence
from dataclasses import replace

from vta_cli.config import nearest
from vta_cli.errors import UsageError
from vta_cli.heads.layered import LayeredHead
from vta_cli.heads.pooling import Pooled
from vta_cli.pipelines.score import Model

NOT = "!"
"""Before a name: all but that one."""


def speak_of(model: Model, names: Sequence[str]) -> Model:
    """Return a model whose score is the largest probability among the named classes or tags.

    Parameters
    ----------
    names : sequence of str
        Classes or tags; with `NOT` before each of them, all but these. None: as the head has it.

    Raises
    ------
    UsageError
        ``wrong-option`` if the head has no classes, or names with and without `NOT` are mixed;
        ``no-such-class``; ``no-class-left``.
    """
    if not names:
        return model
    head = model.taste
    known = head.promise.names
    if not isinstance(head, LayeredHead | Pooled) or not known:
        raise UsageError(
            "wrong-option",
            f"--score-class is for classes and tags; {model.name} gives a "
            f"{head.promise.describe()}",
            hint="leave it out",
        )
    # a class may itself begin with the mark
    excluded = [name for name in names if name not in known and name.startswith(NOT)]
    if excluded and len(excluded) < len(names):
        raise UsageError(
            "wrong-option",
            "--score-class names either what counts or, with !, what does not",
            hint="leave out one of the two",
        )
    wanted = [name.removeprefix(NOT) for name in names] if excluded else list(names)
    for name in wanted:
        if name not in known:
            raise UsageError(
                "no-such-class", f"{model.name} knows no {name!r}", hint=nearest(name, known)
            )
    chosen = [at for at, name in enumerate(known) if (name in wanted) != bool(excluded)]
    if not chosen:
        raise UsageError(
            "no-class-left", "no class is left to score", hint=f"there are: {', '.join(known)}"
        )
    return replace(model, taste=head.with_chosen(chosen))
