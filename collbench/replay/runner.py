"""Runs one launch of a replay: prepares and proves the parts of each backend, then times all of them in turns."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from collbench.devices.device import Call
from collbench.errors import CannotRunError
from collbench.llm.order import Work
from collbench.measure.timing import Track, add_block, warm_up
from collbench.plan.skew import Skew
from collbench.proof.buffers import FEWEST_SLOTS, rounds_for
from collbench.proof.prepared import Prepared
from collbench.ranks.watchdog import Watchdog
from collbench.ranks.world import World
from collbench.replay.compute import Compute, spin
from collbench.replay.opened import AgreedError, Opened
from collbench.replay.part import Part
from collbench.replay.plan import Kind, Plan
from collbench.replay.request import ReplayRequest
from collbench.replay.rows import MICRO, RowMaker
from collbench.replay.sequences import Sequences
from collbench.replay.skews import Delays
from collbench.replay.voices import Spaces, Voice, chain_of, voice_of
from collbench.results.replays import CHAIN, COMMUNICATION, HEAD, LAYERS, SKEWED, STEP, WITHOUT, ReplayRecord

Emit = Callable[[ReplayRecord], None]


@dataclass
class Timing:
    """A part on its way to rows: ``row`` is what it becomes, without its time."""

    row: ReplayRecord
    part: Part
    track: Track | None = None


@dataclass
class Contestant:
    """One backend: its calls of each collective, and its parts; ``row`` says why it has none."""

    name: str
    voices: dict[Kind, Voice] = field(default_factory=dict)
    timings: list[Timing] = field(default_factory=list)
    row: ReplayRecord | None = None


@dataclass
class Runner:
    """One launch. ``emit`` is called on rank 0 with every row."""

    request: ReplayRequest
    plan: Plan
    spaces: Spaces
    compute: Compute
    opened: Opened
    rows: RowMaker
    dog: Watchdog
    emit: Emit

    @property
    def everyone(self) -> World:
        """All ranks."""
        return self.opened.everyone

    def run(self) -> None:
        """Run all backends; collective over the launch."""
        contestants = [Contestant(name) for name in self.request.backends]
        for one in contestants:
            self._get_ready(one)
        timings = [*self._computing(contestants), *(timing for one in contestants for timing in one.timings)]
        for timing in timings:
            self._announce("warming up", timing.row)
            timing.track = Track(timing.part)
            warm_up(self.everyone, timing.track, self.request)
        self._take_turns(timings)
        for timing in timings:
            timing.part.close()
        self.everyone.comm.Barrier()

    def _announce(self, doing: str, row: ReplayRecord) -> None:
        """All ranks begin a step of a part together: whichever ends the job is in the step that rank 0 names."""
        self.everyone.comm.Barrier()
        what = " ".join(filter(None, (row.backend, row.part, row.collective)))
        at_end = partial(self._end, row) if self.everyone.rank == 0 else None
        self.dog.beat(f"{doing}: {what}", at_end)
        self.everyone.comm.Barrier()

    def _end(self, row: ReplayRecord, status: str, reason: str) -> None:
        self.emit(_failed(row, status, reason))

    def _get_ready(self, one: Contestant) -> None:
        """Prepare and prove all parts of a backend, or set the row that says why they cannot be timed."""
        blank = self.rows.blank(one.name, COMMUNICATION, "ok")
        self._announce("preparing", blank)
        try:
            specs = tuple(dict.fromkeys((one.name, self.request.rest)))
            for kind in self.plan.kinds:
                place = self.spaces.by_kind[kind]
                one.voices[kind] = voice_of(self.plan, kind, place, self.opened, specs)
            if all(voice.ran_by != one.name for voice in one.voices.values()):
                reasons = dict.fromkeys(voice.why for voice in one.voices.values())
                raise CannotRunError(f"{one.name} has none of these collectives: {'; '.join(reasons)}")
            self._add_parts(one, blank)
        except CannotRunError as error:
            one.row = _failed(blank, "skipped", str(error))
        except AgreedError as error:
            one.row = _failed(blank, "failed", str(error))
        if one.row:
            for timing in one.timings:
                timing.part.close()
            one.timings.clear()
            if self.everyone.rank == 0:
                self.dog.done(partial(self.emit, one.row))

    def _add_parts(self, one: Contestant, blank: ReplayRecord) -> None:
        judged = [voice.prepared for voice in one.voices.values() if voice.prepared]
        self._add(one, blank, self._sequences.of_pass(one.voices, with_work=False), judged)
        if self.request.compute != "none" and not one.row:
            row = self.rows.blank(one.name, STEP, "ok")
            self._add(one, row, self._sequences.of_pass(one.voices, with_work=True), judged)
        for skew in self.request.skews:
            self._add_skewed(one, skew, judged)
        if not one.row:
            self._add_chains(one)

    def _add_skewed(self, one: Contestant, skew: Skew, judged: Sequence[Prepared]) -> None:
        """The pass, with compute if there is any, with every rank late in every gap, also where by nothing."""
        delays = Delays(self.plan, skew, self.request.seed, self.rows.launch)
        row = replace(
            self.rows.blank(one.name, SKEWED, "ok"),
            skew=str(skew), first_late_us=delays.earliest * MICRO, last_late_us=delays.latest * MICRO,
        )  # fmt: skip
        late = [spin(self.opened.device, seconds) for seconds in delays.of_rank(self.everyone.rank)]
        self._add(one, row, self._sequences.of_pass(one.voices, self.request.compute != "none", late=late), judged)

    def _add(
        self, one: Contestant, row: ReplayRecord, calls: Sequence[Call], judged: Sequence[Prepared], whole: bool = True
    ) -> None:
        """Add a part and prove it, unless one before was wrong."""
        if one.row:
            return
        self._announce("proving", row)
        part = self._started(Part(self.everyone, self.opened.device, calls, judged, whole))
        one.timings.append(Timing(row, part))
        found, words = part.prove()
        words = self.everyone.first_words(words)
        if words:
            one.row = _failed(row, "wrong", words, self.everyone.highest_int(found.wrong))

    def _started(self, part: Part) -> Part:
        part.rehearse()
        self.opened.agreed(part.start)
        return part

    @cached_property
    def _sequences(self) -> Sequences:
        """The sequences of this rank. Raises AgreedError where the work of some rank cannot be made."""
        stage = self.plan.stage_of(self.everyone.rank)

        def make() -> dict[Work, Sequence[Call]]:
            works = (event for event in self.plan.stages[stage] if isinstance(event, Work))
            return {work: self.compute.calls(work) for work in works}

        return Sequences(self.plan, stage, self.compute, self.opened.agreed(make))

    def _add_chains(self, one: Contestant) -> None:
        """The chain of each collective, with about as many calls as one of a sweep; and where a pass has several that
        all ranks run, the pass without each."""
        seconds = self._seconds_of_a_call(one.timings[0].part)
        for voice in one.voices.values():
            rounds = rounds_for(voice.problem, self.opened.device, seconds)
            made = self.opened.agreed(partial(chain_of, voice, self.opened, rounds))
            calls = [made.calls[number % len(made.calls)] for number in range(rounds.calls)] if made else []
            row = self.rows.of_voice(one.name, CHAIN, voice, self.plan, self.plan.judged(voice.kind, voice.space.slots))
            self._add(one, row, calls, [made] if made else [], whole=False)
        if self.plan.parallel.pp == 1 and len(one.voices) > 1:
            for kind in one.voices:
                self._add_without(one, kind)

    def _add_without(self, one: Contestant, kind: Kind) -> None:
        row = self.rows.of_voice(one.name, WITHOUT, one.voices[kind], self.plan, None)
        others = [voice.prepared for other, voice in one.voices.items() if other != kind and voice.prepared]
        self._add(one, row, self._sequences.of_pass(one.voices, with_work=False, without=kind), others)

    def _seconds_of_a_call(self, part: Part) -> float:
        """The mean over the calls of a pass, from the fastest of a few samples; rank 0's."""
        fastest = min(part.sample().seconds for _ in range(FEWEST_SLOTS))
        return float(self.everyone.bcast(fastest / part.rounds.calls))

    def _computing(self, contestants: Sequence[Contestant]) -> list[Timing]:
        """The layers, and the head, without collectives."""
        able = [one for one in contestants if not one.row]
        if self.request.compute == "none" or not able:
            return []
        found = []
        for part, is_head in ((LAYERS, False), (HEAD, True)):
            row = self.rows.blank("", part, "ok")
            self._announce("preparing", row)
            calls = self._sequences.of_work(able[0].voices, is_head)
            found.append(Timing(row, self._started(Part(self.everyone, self.opened.device, calls, [], whole=True))))
        return found

    def _take_turns(self, timings: Sequence[Timing]) -> None:
        """Take blocks of samples, with the parts in a new random order each round, until each has enough."""
        left = [(timing, timing.track) for timing in timings if timing.track]
        draw = random.Random(f"{self.request.seed}/{self.rows.launch}")
        while left:
            draw.shuffle(left)
            for timing, track in list(left):
                self._announce("timing", timing.row)
                if add_block(self.everyone, track, self.request):
                    left.remove((timing, track))
                    self._report(timing.row, track)

    def _report(self, row: ReplayRecord, track: Track) -> None:
        """Write the rows of a part that has been timed, on rank 0."""
        if self.everyone.rank:
            return
        by_stage = row.part in (LAYERS, HEAD) and track.seconds
        for each in self._rows_of_stages(row, track) if by_stage else [self.rows.of_track(row, track)]:
            self.dog.done(partial(self.emit, each))

    def _rows_of_stages(self, row: ReplayRecord, track: Track) -> list[ReplayRecord]:
        """A row for each stage with this work: what its slowest rank took."""
        times, stages = np.array(track.by_rank), self.plan.parallel.pp
        stage_of = np.array([self.plan.stage_of(rank) for rank in range(self.everyone.size)])
        found = []
        for stage in range(stages) if row.part == LAYERS else [stages - 1]:
            layers = len(self.request.listing.deployment.stages[stage]) if row.part == LAYERS else 1
            whole = _of_stage(row, stage + 1, layers, self.compute.words)
            found.append(self.rows.timed(whole, list(times[:, stage_of == stage].max(axis=1))))
        return found


def _failed(row: ReplayRecord, status: str, reason: str, wrong: int | None = None) -> ReplayRecord:
    return replace(row, status=status, reason=reason, wrong=wrong)


def _of_stage(row: ReplayRecord, stage: int, layers: int, words: str) -> ReplayRecord:
    return replace(row, stage=stage, count=layers, params=words.replace(";", ","))
