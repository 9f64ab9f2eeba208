"""A store against a dict, under any sequence of writing, upkeep and damage."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from store_making import keys_of, recipe, shards_dir, vectors_of

from vta_cli.store.check import check
from vta_cli.store.compact import compact
from vta_cli.store.gc import gc
from vta_cli.store.store import Store

NUMBERS = st.lists(st.integers(0, 15), max_size=6)


class StoreAgainstDict(RuleBasedStateMachine):
    """`held` has the numbers whose vectors the store must have, `skipped` those with a reason."""

    @initialize()
    def make(self):
        self.fsync, os.fsync = os.fsync, lambda _: None  # nothing here outlives the system
        self.folder = Path(tempfile.mkdtemp(prefix="vta-machine-"))
        self.path = self.folder / "s"
        self.store = Store.open(self.path, create=True)
        self.held = set()
        self.skipped = set()
        self.old = self.store.space(recipe())

    @rule(numbers=NUMBERS, parts=st.integers(1, 3), wide=st.booleans())
    def write(self, numbers, parts, wide):
        """Vectors of a key never differ, as in a real store; wide ones are forced to float32."""
        with self.store.space(recipe()).writer() as writer:
            if wide:
                writer.append(keys_of(99), np.full((1, 1, 8), 1e9, np.float32))
            for part in np.array_split(np.array(numbers, int), parts):
                writer.append(keys_of(*part), vectors_of(*part))
                writer.seal()
        self.held |= set(numbers) | ({99} if wide else set())

    @rule(numbers=NUMBERS)
    def skip(self, numbers):
        with self.store.space(recipe()).writer() as writer:
            writer.append_skips([(bytes(keys_of(n)[0]), "broken", str(n)) for n in numbers])
        self.skipped |= set(numbers)

    @rule()
    def reopen(self):
        self.store.close()
        self.store = Store.open(self.path)

    @rule(grace=st.sampled_from([0, 3600]), size=st.sampled_from([1 << 20, 3000]))
    def merge(self, grace, size):
        assert not compact(self.store, grace_s=grace, target_bytes=size).problems

    @rule(numbers=NUMBERS)
    def collect(self, numbers):
        dry = gc(self.store, keys_of(*numbers))
        wet = gc(self.store, keys_of(*numbers), dry_run=False)
        assert dry.rows == wet.rows
        self.held &= set(numbers)
        # what was dropped as a vector may have been skipped before, and that goes as well
        self.skipped &= set(numbers)

    @rule(data=st.data())
    def damage_and_repair(self, data):
        """Break a shard, then check: its keys may be lost, nothing else, and nothing is wrong."""
        folder = shards_dir(self.store)
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        if not files:
            return
        file = data.draw(st.sampled_from(files))
        content = bytearray(file.read_bytes())
        if data.draw(st.booleans()):
            content[data.draw(st.integers(0, len(content) - 1))] ^= 0x10
        else:
            content = content[: data.draw(st.integers(0, len(content) - 1))]
        file.write_bytes(content)
        check(self.store, repair=True, grace_s=-10)
        assert check(self.store).clean
        space = self.store.space(recipe())
        # a damaged tombstone may bring dropped keys back; a damaged shard may lose some
        self.held = {n for n in [*range(16), 99] if not space.missing(keys_of(n))[0]}
        skips = space.skips()
        self.skipped = {n for n in range(16) if bytes(keys_of(n)[0]) in skips} | self.held

    @invariant()
    def the_same(self):
        if not hasattr(self, "store"):
            return
        everything = [*range(16), 99]
        for space in (self.store.space(recipe()), self.refreshed()):
            missing = space.missing(keys_of(*everything))
            assert {n for n, gone in zip(everything, missing, strict=True) if not gone} == self.held
            assert len(space.keys()) == len(self.held)
            numbers = sorted(self.held - {99})
            assert (space.read(keys_of(*numbers)) == vectors_of(*numbers)).all()
            if 99 in self.held:
                assert (space.read(keys_of(99)) == 1e9).all()
            skips = {bytes(keys_of(n)[0]): ("broken", str(n)) for n in self.skipped - self.held}
            found = dict(space.skips())
            assert {k: v for k, v in found.items() if k in skips} == skips
            assert not found.keys() & {bytes(keys_of(n)[0]) for n in self.held}

    def refreshed(self):
        """A space opened at the start, which has lived through everything."""
        self.old.refresh()
        return self.old

    def teardown(self):
        if hasattr(self, "store"):
            os.fsync = self.fsync
            self.store.close()
            shutil.rmtree(self.folder)


StoreAgainstDict.TestCase.settings = settings(
    max_examples=20, stateful_step_count=12, deadline=None
)
test_store_against_dict = StoreAgainstDict.TestCase
