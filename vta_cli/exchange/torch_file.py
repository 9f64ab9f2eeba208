"""Tensors of a torch file (`torch.save`), read without torch and without running anything in it.

A torch file is a zip archive of raw arrays and one `data.pkl`, a program for Python's unpickler
that could call anything. It is not run here: its operations are listed with `pickletools` and only
those that describe plain tensors are followed, by hand; a file with any other is refused. Formats:
``torch/serialization.py`` (`_save`) and ``torch/_utils.py`` (`_rebuild_tensor_v2`). Tensors that
were saved from a GPU are read like all others.
"""

import io
import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vta_cli.errors import HeadError

STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
"""Names in module `torch` that a tensor's storage may have, and how its bytes are read."""

MAX_PROGRAM_BYTES = 4 << 20
"""Longest `data.pkl`: a thousand tensors need some 100 kB."""
MAX_DIMS = 8
MAX_NUMBERS = 1 << 28
"""Most numbers that all tensors may hold together: many could share one large storage."""

_DAMAGE = (
    *(zipfile.BadZipFile, ValueError, OSError, KeyError, IndexError, TypeError),
    *(AttributeError, OverflowError, RuntimeError, EOFError),
)
"""What a damaged or crafted archive can bring zipfile, pickletools and the steps below to raise."""


REBUILD = "torch._utils._rebuild_tensor_v2"


class Forbidden(ValueError):  # noqa: N818 - a word of this module, never seen outside
    """The file asks for more than plain tensors."""


class _Name:
    """A global that the file names: never looked up, only compared."""

    def __init__(self, module: str, name: str) -> None:
        self.full = f"{module}.{name}"
        known = self.full in _CALLS or (module == "torch" and name in STORAGES)
        if not known:
            raise Forbidden(f"it asks for {self.full}")


class _Mark:
    """Where a tuple or a group of items begins on the stack."""


def read_torch(path: Path) -> dict[str, NDArray[Any]]:
    """Read the named tensors of a torch file.

    Parameters
    ----------
    path : Path
        A state dict, or a dict that holds one as ``state_dict``, ``model_state_dict`` or ``model``.

    Returns
    -------
    dict of str to ndarray
        In the file's order; bfloat16 and float16 become float32 (without loss).

    Raises
    ------
    HeadError
        ``not-plain-tensors`` for a file that holds more than that, ``head-unreadable`` for one
        that is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = _read_archive(archive)
    except Forbidden as error:
        raise HeadError(
            "not-plain-tensors",
            f"{path} is no plain file of tensors: {error}",
            hint="save its state dict alone: torch.save(model.state_dict(), FILE)",
        ) from error
    except _DAMAGE as error:
        raise HeadError(
            "head-unreadable",
            f"{path} cannot be read as a torch file: {error}",
            hint="fetch the file again; it may have been cut short",
        ) from error
    for name in ("state_dict", "model_state_dict", "model"):
        inner = found.get(name) if isinstance(found, dict) else None
        if isinstance(inner, dict):
            found = inner
    if not isinstance(found, dict):
        raise HeadError(
            "not-plain-tensors",
            f"{path} holds no dictionary of tensors",
            hint="save a state dict: torch.save(model.state_dict(), FILE)",
        )
    return {str(name): value for name, value in found.items() if isinstance(value, np.ndarray)}


def _read_archive(archive: zipfile.ZipFile) -> Any:
    programs = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
    if len(programs) != 1:
        raise ValueError("it holds no data.pkl (torch before 1.6 wrote another format)")
    if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
        raise Forbidden("its entries are compressed, which torch never does")
    if programs[0].file_size > MAX_PROGRAM_BYTES:
        raise Forbidden(f"its data.pkl has {programs[0].file_size} bytes")
    root = programs[0].filename.removesuffix("data.pkl")
    if any(info.filename == f"{root}constants.pkl" for info in archive.infolist()):
        raise Forbidden("it is a TorchScript program")
    order = f"{root}byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise ValueError("its numbers are big-endian")
    storages: dict[str, NDArray[Any]] = {}

    def storage(key: str, kind: str) -> NDArray[Any]:
        name = f"{root}data/{key}"
        if name not in storages:
            storages[name] = np.frombuffer(archive.read(name), dtype=STORAGES[kind])
        return storages[name]

    return _Reader(storage).run(archive.read(programs[0]))


class _Reader:
    """Follows the few operations that build dictionaries of tensors."""

    def __init__(self, storage: Callable[[str, str], NDArray[Any]]) -> None:
        self._storage = storage
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._n_numbers = 0

    def run(self, program: bytes) -> Any:
        """Return what the program builds."""
        for opcode, argument, _ in pickletools.genops(io.BytesIO(program)):
            if opcode.name == "STOP":
                return self._stack.pop()
            if opcode.name in _CONSTANTS:
                self._stack.append(_CONSTANTS[opcode.name])
            elif opcode.name in _LITERALS:
                self._stack.append(argument)
            elif opcode.name in _STEPS:
                _STEPS[opcode.name](self, argument)
            else:
                raise Forbidden(f"it uses the operation {opcode.name}")
        raise ValueError("its data.pkl has no end")

    def _since_mark(self) -> list[Any]:
        at = max(i for i, item in enumerate(self._stack) if isinstance(item, _Mark))
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def _take(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise ValueError("its data.pkl takes more than it has")
        items = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return items

    def global_(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(_Name(module, name))

    def stack_global(self, _: Any) -> None:
        module, name = self._take(2)
        self._stack.append(_Name(str(module), str(name)))

    def put(self, index: int) -> None:
        self._memo[int(index)] = self._stack[-1]

    def memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, index: int) -> None:
        self._stack.append(self._memo[int(index)])

    def mark(self, _: Any) -> None:
        self._stack.append(_Mark())

    def tuple_(self, _: Any) -> None:
        self._stack.append(tuple(self._since_mark()))

    def tuple1(self, _: Any) -> None:
        self._stack.append(tuple(self._take(1)))

    def tuple2(self, _: Any) -> None:
        self._stack.append(tuple(self._take(2)))

    def tuple3(self, _: Any) -> None:
        self._stack.append(tuple(self._take(3)))

    def empty_dict(self, _: Any) -> None:
        self._stack.append({})

    def set_item(self, _: Any) -> None:
        self._set(self._take(2))

    def set_items(self, _: Any) -> None:
        self._set(self._since_mark())

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise Forbidden("it fills something that is no dictionary")
        for at in range(0, len(items), 2):
            if not isinstance(items[at], str | int):
                raise Forbidden("a name in it is no text")
            target[items[at]] = items[at + 1]

    def build(self, _: Any) -> None:
        # what torch adds to a state dict, `_metadata`, is of no use here
        self._take(1)
        if not isinstance(self._stack[-1], dict):
            raise Forbidden("it sets the state of something that is no dictionary")

    def persistent(self, _: Any) -> None:
        """Resolve ``('storage', kind, key, place, n)`` to the array of that key."""
        (given,) = self._take(1)
        word, kind, key, _place, n_numbers = given
        if word != "storage" or not isinstance(kind, _Name) or not isinstance(key, str):
            raise Forbidden("it refers to something that is no storage")
        name = kind.full.removeprefix("torch.")
        numbers = self._storage(key, name)
        if not isinstance(n_numbers, int) or n_numbers != len(numbers):
            raise ValueError(f"storage {key} holds {len(numbers)} numbers, not {n_numbers}")
        self._stack.append((name, numbers))

    def reduce(self, _: Any) -> None:
        function, arguments = self._take(2)
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise Forbidden("it calls something that is no function")
        if function.full not in _CALLS:
            raise Forbidden(f"it calls {function.full}")
        made = _CALLS[function.full](*arguments)
        if isinstance(made, np.ndarray) and function.full == REBUILD:
            self._n_numbers += made.size
            if self._n_numbers > MAX_NUMBERS:
                raise Forbidden(f"its tensors hold more than {MAX_NUMBERS} numbers")
        self._stack.append(made)


def _tensor(
    storage: tuple[str, NDArray[Any]], offset: int, shape: Any, strides: Any, *_: Any
) -> NDArray[Any]:
    """Return what `torch._utils._rebuild_tensor_v2` would: a copy, C order."""
    name, numbers = storage
    whole = all(type(x) is int and x >= 0 for x in (offset, *shape, *strides))
    if not whole or len(shape) != len(strides) or len(shape) > MAX_DIMS:
        raise ValueError("a tensor's shape is not right")
    size = int(np.prod(shape, dtype=object)) if shape else 1
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    # no tensor of a network is larger than its storage: one that is would fill the memory
    if size > len(numbers) or (size and last >= len(numbers)):
        raise ValueError("a tensor reaches beyond its storage")
    steps = [step * numbers.itemsize for step in strides]
    view = np.lib.stride_tricks.as_strided(numbers[offset:] if size else numbers, shape, steps)
    if name == "BFloat16Storage":  # the upper half of a float32
        return (view.astype(np.uint32) << 16).view(np.float32)
    if name == "HalfStorage":
        return view.astype(np.float32)
    return np.array(view, order="C")


def _parameter(tensor: NDArray[Any], *_: Any) -> NDArray[Any]:
    if not isinstance(tensor, np.ndarray):
        raise Forbidden("a parameter in it is no tensor")
    return tensor


def _ordered_dict(*arguments: Any) -> dict[str, Any]:
    if arguments:
        raise Forbidden("it makes a dictionary of something")
    return {}


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    REBUILD: _tensor,
    "torch._utils._rebuild_parameter": _parameter,
}
"""Functions that a file may name, and what stands for them here."""

_CONSTANTS: dict[str, Any] = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
}
_LITERALS = frozenset(
    {"BINUNICODE", "SHORT_BINUNICODE", "UNICODE", "BININT", "BININT1", "BININT2", "INT"}
    | {"LONG", "LONG1", "BINFLOAT", "FLOAT"}
)
_STEPS: dict[str, Callable[[_Reader, Any], None]] = {
    "PROTO": lambda _reader, _argument: None,
    "FRAME": lambda _reader, _argument: None,
    "GLOBAL": _Reader.global_,
    "STACK_GLOBAL": _Reader.stack_global,
    "PUT": _Reader.put,
    "BINPUT": _Reader.put,
    "LONG_BINPUT": _Reader.put,
    "MEMOIZE": _Reader.memoize,
    "GET": _Reader.get,
    "BINGET": _Reader.get,
    "LONG_BINGET": _Reader.get,
    "MARK": _Reader.mark,
    "TUPLE": _Reader.tuple_,
    "TUPLE1": _Reader.tuple1,
    "TUPLE2": _Reader.tuple2,
    "TUPLE3": _Reader.tuple3,
    "EMPTY_DICT": _Reader.empty_dict,
    "SETITEM": _Reader.set_item,
    "SETITEMS": _Reader.set_items,
    "BUILD": _Reader.build,
    "BINPERSID": _Reader.persistent,
    "REDUCE": _Reader.reduce,
}
