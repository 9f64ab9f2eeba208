"""Globs as sources: ``shots/**/*.jpg``, quoted by the user so that the shell leaves them alone.

``*``, ``?`` and ``[...]`` match within one name, ``**`` any number of folders. As in a shell,
letter case counts, wildcards do not match a leading dot, and a folder that the pattern matches is
taken with all it holds.
"""

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import replace

from vta_cli.errors import UsageError
from vta_cli.images.refs import Found, ScanRules, absolute
from vta_cli.images.walk import walk

_WILD = re.compile(r"[*?\[]")
_CLASS = re.compile(r"\[(!?)(\]?[^\]]*)\]")


def is_glob(spec: str) -> bool:
    """Tell whether `spec` holds a wildcard."""
    return _WILD.search(spec) is not None


def open_glob(spec: str, rules: ScanRules) -> Iterator[Found]:
    """Open a glob as a source; raises `UsageError` ``no-such-source`` where nothing matches."""
    parts = absolute(spec).split("/")[1:]
    n_fixed = next((i for i in range(len(parts)) if _is_wild(parts[: i + 1])), len(parts) - 1)
    root = "/" + "/".join(parts[:n_fixed])
    wild = parts[n_fixed:]
    if any(part.startswith(".") for part in wild):
        rules = replace(rules, hidden=True)  # a dot that is spelled out is meant
        hidden = False
    else:
        hidden = rules.hidden
    found = _matches(root, wild, rules, hidden=hidden) if os.path.isdir(root) else iter(())  # noqa: PTH112
    first = next(found, None)
    if first is None:
        raise UsageError(
            "no-such-source",
            f"no file matches {spec}",
            hint="check the folder and the letter case; quote the pattern",
        )
    return itertools.chain([first], found)


def _is_wild(parts: list[str]) -> bool:
    """Tell whether the last part is a pattern: a folder that is called so, ``a [1]``, is none."""
    return is_glob(parts[-1]) and not os.path.isdir("/" + "/".join(parts))  # noqa: PTH112


def _matches(root: str, wild: list[str], rules: ScanRules, *, hidden: bool) -> Iterator[Found]:
    whole = _regex(wild, hidden=hidden)
    # prefixes[i] matches a folder below which the parts from i + 1 on may still match
    prefixes = [_regex(wild[: i + 1], hidden=hidden) for i in range(len(wild) - 1)]

    def descend(rel: str) -> bool:
        if whole.fullmatch(rel):
            return True
        depth = rel.count("/")
        if "**" in wild[: depth + 1]:
            return True
        return depth < len(prefixes) and prefixes[depth].fullmatch(rel) is not None

    strip = len(root) if root.endswith("/") else len(root) + 1
    for found in walk(root, rules, descend):
        # a folder that cannot be read (its path ends in a slash) may hold matches, so it is told
        if found.path.endswith("/") or whole.fullmatch(found.path[strip:]):
            yield found


def _regex(parts: list[str], *, hidden: bool) -> re.Pattern[str]:
    """Translate the parts of a pattern; also matches what lies below a match."""
    no_dot = "" if hidden else r"(?!\.)"
    text = ""
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        if part == "**":
            text += rf"{no_dot}[^/]+(?:/{no_dot}[^/]+)*" if last else rf"(?:{no_dot}[^/]+/)*"
        else:
            text += (
                (no_dot if _WILD.match(part) else "") + _name_regex(part) + ("" if last else "/")
            )
    try:
        return re.compile(rf"{text}(?:/{no_dot}[^/]+)*", re.DOTALL)
    except re.error as error:
        raise UsageError(
            "bad-glob",
            f"{'/'.join(parts)} is no pattern: {error.msg}",
            hint="letters in brackets ascend, as in [a-z]",
        ) from error


def _name_regex(part: str) -> str:
    text = ""
    at = 0
    while at < len(part):
        letter = part[at]
        if letter == "[" and (group := _CLASS.match(part, at)):
            chars = re.sub(r"([\\\[\]^&~|])", r"\\\1", group[2])
            text += f"[{'^/' if group[1] else ''}{chars}]"
            at = group.end()
            continue
        text += {"*": "[^/]*", "?": "[^/]"}.get(letter) or re.escape(letter)
        at += 1
    return text
