"""Rounds, rates and tiers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vta_cli.labels.tournament import Tournament, replay, start_event


def keys(n):
    return [f"{at:03d}" for at in range(n)]


def play(cup, advances):
    while not cup.done:
        heat = cup.heat()
        cup.advance(heat, [key for key in heat if advances(cup.round, key)])


def test_the_round_in_which_an_image_stops_is_its_tier():
    cup = Tournament("a", keys(16))
    play(cup, lambda at, key: int(key) < (8, 3, 1)[at])
    assert [cup.tier[key] for key in keys(16)] == [2, 2, 2] + [1] * 5 + [0] * 8 or cup.tier[
        "000"
    ] == 3
    assert cup.to_json()["tiers"] == [8, 5, 2, 1]


def test_targets_are_shares_of_all_entrants():
    """With 50 % advanced, the second round aims at 5 % of all: a tenth of its own entrants."""
    cup = Tournament("a", keys(100))
    assert cup.target == pytest.approx(0.5)
    while cup.round == 0:
        heat = cup.heat()
        cup.advance(heat, heat[:2])
    assert cup.target == pytest.approx(0.05 * 100 / 50)
    assert cup.rate is None


def test_none_or_all_may_advance():
    cup = Tournament("a", keys(8))
    cup.advance(cup.heat(), [])
    cup.advance(cup.heat(), cup.heat())
    assert cup.round == 1
    assert len(cup.heat()) == 4


def test_nobody_left_ends_it():
    cup = Tournament("a", keys(8))
    play(cup, lambda _at, _key: False)
    assert cup.done
    assert set(cup.tier.values()) == {0}


@given(st.integers(2, 30), st.integers(2, 6), st.randoms(use_true_random=False))
def test_a_replay_ends_where_the_play_did(n, per_heat, random):
    """The events alone bring back the state, also when one of them arrives twice."""
    cup = Tournament("x", keys(n), per_heat=per_heat)
    events = [start_event(cup)]
    for _ in range(20):
        if cup.done:
            break
        heat = cup.heat()
        winners = [key for key in heat if random.random() < 0.5]
        event = {"event": "heat", "id": "x", "shown": heat, "winners": winners}
        before = cup.round
        cup.advance(heat, winners)
        events.append(event)
        if cup.round == before:
            events.append(event)
    again = replay(events)
    assert again.to_json() == cup.to_json()
    assert again.tier == cup.tier
    assert again.heat() == cup.heat()
