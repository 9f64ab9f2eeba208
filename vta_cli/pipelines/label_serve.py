"""Opens the labelling page and keeps it until it is ended; exports labels as folders afterwards."""

import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vta_cli.arrange.execute import execute
from vta_cli.arrange.plan import Action, Item, plan
from vta_cli.errors import UsageError, VtaError
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

    Returns
    -------
    int
        Files arranged, those of earlier exports included.

    Raises
    ------
    VtaError
        ``not-exported`` if some could not be; the rest is there.
    """
    items = []
    for label in read_journal(journal).labels:
        name = Path(label.path).name
        items.append(Item(label.path, f"{'liked' if label.value else 'disliked'}/{name}"))
    steps = plan(items, out.absolute(), Action.SYMLINK if link else Action.COPY)
    outcome = execute(steps, store.journal_dir, command="vta label --export-folders")
    if outcome.failed:
        step, reason = outcome.failed[0]
        raise VtaError(
            "not-exported",
            f"{counted(len(outcome.failed), 'file was', 'files were')} not exported, "
            f"e.g. {step.source}: {reason}",
            hint="see to the reason and run it again",
        )
    return outcome.done + outcome.already
