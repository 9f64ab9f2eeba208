"""Which labels answer one question: of a content, of one tag of a content, or of two contents."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vta_cli.labels.records import UNKNOWN, Label, LabelSet

Question = tuple[bytes, ...]
"""A content key; with tags, the key and the number of the tag; of pairs, both keys in order."""


def question_of_tag(key: bytes, tag: int) -> Question:
    """Return the question whether a content bears a tag."""
    return key, tag.to_bytes(4, "big")


def judgements(labels: LabelSet, keys: Mapping[str, bytes]) -> dict[Question, list[Label]]:
    """Group labels by what they answer.

    Parameters
    ----------
    labels : LabelSet
        Of any kind, before any merge.
    keys : mapping of str to bytes
        Content key of each labelled path; labels of a path without one are left out.

    Returns
    -------
    dict of tuple to list of Label
        The value of a label is its answer: of a tag 1 or 0 (unknown ones are left out), of a pair
        the share of the content whose key comes first.
    """
    found: dict[Question, list[Label]] = {}
    for label in labels.labels:
        key = keys.get(label.path)
        if key is None:
            continue
        for question, answer in _answers(labels.kind, label, bytes(key), keys):
            found.setdefault(question, []).append(answer)
    return found


def _answers(
    kind: str, label: Label, key: bytes, keys: Mapping[str, bytes]
) -> Iterator[tuple[Question, Label]]:
    if kind == "tags":
        for tag, state in enumerate(label.values):
            if state != UNKNOWN:
                yield question_of_tag(key, tag), replace(label, value=state)
    elif kind == "pairs":
        other = keys.get(label.other)
        if other is not None and bytes(other) != key:
            turned = bytes(other) < key
            value = 1.0 - label.value if turned else label.value
            first, second = sorted((key, bytes(other)))
            yield (first, second), replace(label, value=value)
    else:
        yield (key,), label
