"""Opens the labelling page and keeps it until it is ended; exports labels as folders afterwards."""

import filecmp
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vta_cli.arrange.execute import execute
from vta_cli.arrange.journal import read_journal as read_run
from vta_cli.arrange.plan import Action, Item, plan
from vta_cli.arrange.undo import journals
from vta_cli.errors import ArrangeError, UsageError, VtaError
from vta_cli.labels.journal import read_journal
from vta_cli.pipelines.label import Plan, Session
from vta_cli.pipelines.label_cup import Cups
from vta_cli.pipelines.label_load import Inputs
from vta_cli.pipelines.label_look import Looker
from vta_cli.pipelines.lanes import choose
from vta_cli.store.store import Store
from vta_cli.words import counted

HOST = "127.0.0.1"
TOKEN_BYTES = 24
SIDES = ("disliked", "liked")
EXPORT = "vta label --export-folders"
"""What the journal of such a run says."""


@dataclass(frozen=True)
class End:
    """What a sitting left: labels by side, those of earlier sittings included."""

    n_positive: int
    n_negative: int


def open_page(
    store: Store,
    inputs: Inputs,
    how: Plan,
    *,
    port: int,
    mode: str,
    ready: Callable[[str], None],
    warn: Callable[[str], None],
) -> End:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    port : int
        On the loopback address; 0 takes any free one.
    mode : str
        What the page begins with.
    ready : callable
        Given the address, token included, as soon as it answers.
    warn : callable
        Told of files that could not be moved.

    Raises
    ------
    UsageError
        ``missing-extra`` without Starlette and uvicorn, ``port-in-use``; of an unknown backbone or
        preset as `choose`.
    """
    try:
        from vta_cli.pages.app import create_app, serve  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise UsageError(
            "missing-extra",
            f"the labelling page needs a package that is not installed: {error.name}",
            hint="pip install 'vta[label]'",
        ) from error
    choose(store, inputs.preset, inputs.backbones, inputs.engine)  # refuses unknown names
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with _listen(port) as listener:
        number = int(listener.getsockname()[1])
        session = Session(store, inputs, how, on_error=warn)
        if not session.journal.alone:
            warn(f"another page is open on {how.journal}: each sees the other's judgements")
        try:
            session.start()
            app = create_app(session, Looker(session), Cups(session), token=token, port=number)
            serve(app, listener, lambda: ready(f"http://{HOST}:{number}/?token={token}#{mode}"))
        except KeyboardInterrupt:
            pass  # uvicorn raises it again once everything is answered
        finally:
            session.close()
    held = session.standing.judgements.values()
    return End(sum(j.label == 1 for j in held), sum(j.label == 0 for j in held))


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            "port-in-use",
            f"port {port} cannot be had: {error.strerror}",
            hint="leave --port out to take any free one",
        ) from error
    listener.listen(64)
    return listener


def export(store: Store, journal: Path, out: Path, *, link: bool) -> int:
    """Copy or link the labelled images into ``out/liked`` and ``out/disliked``.

    What an earlier export put on the side that no longer holds is moved to the other.

    Returns
    -------
    int
        Files arranged, those of earlier exports included.

    Raises
    ------
    VtaError
        ``not-exported`` if some could not be; the rest is there.
    """
    out = out.absolute()
    sides = {label.path: SIDES[label.value > 0.5] for label in read_journal(journal).labels}
    turned = plan(_turned(store, out, sides), out, Action.MOVE)
    failed = list(execute(turned, store.journal_dir, command=EXPORT).failed) if turned else []
    items = [Item(path, f"{side}/{Path(path).name}") for path, side in sides.items()]
    steps = plan(items, out, Action.SYMLINK if link else Action.COPY)
    outcome = execute(steps, store.journal_dir, command=EXPORT)
    failed += outcome.failed
    if failed:
        step, reason = failed[0]
        raise VtaError(
            "not-exported",
            f"{counted(len(failed), 'file was', 'files were')} not exported, "
            f"e.g. {step.source}: {reason}",
            hint="see to the reason and run it again",
        )
    return outcome.done + outcome.already


def _turned(store: Store, out: Path, sides: Mapping[str, str]) -> list[Item]:
    """Return the files of earlier exports whose images were judged otherwise since.

    Only what the journals of runs know to be of an export, and what is still as it was made.
    """
    origins: dict[str, str] = {}
    for run in reversed(journals(store.journal_dir)):  # oldest first
        if run.command != EXPORT or run.undone:
            continue
        with suppress(ArrangeError, OSError):
            for entry in read_run(run.path).entries:
                if entry.made is not None:
                    source = entry.step.source
                    origins[entry.step.destination] = origins.get(source, source)
    found = []
    for made, source in origins.items():
        place, side = Path(made), sides.get(source)
        stale = side is not None and place.parent in [out / one for one in SIDES if one != side]
        if stale and _is_same(source, place):
            found.append(Item(made, f"{side}/{Path(source).name}"))
    return found


def _is_same(source: str, made: Path) -> bool:
    try:
        if made.is_symlink():
            return str(made.readlink()) == source
        return filecmp.cmp(source, made, shallow=False)
    except OSError:
        return False
