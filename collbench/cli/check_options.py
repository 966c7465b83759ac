"""The options of the command ``check``."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from collbench.cli import params
from collbench.cli.groups import Group
from collbench.errors import UsageError
from collbench.plan.variants import Variant, check_names
from collbench.results.writing import check_folder


@dataclass(frozen=True)
class SideOptions:
    """The options that name the two sides; None or () for those not given."""

    baseline: str | None
    candidate: str | None
    baseline_ref: str | None
    candidate_ref: str | None
    variant: tuple[Variant, ...]
    baseline_files: tuple[str, ...]
    candidate_files: tuple[str, ...]

    @property
    def any(self) -> bool:
        """Whether a side is named in any way."""
        return any((*vars(self).values(),))

    @property
    def given_files(self) -> bool:
        """Whether files of a side are named."""
        return bool(self.baseline_files or self.candidate_files)

    @property
    def names(self) -> tuple[str, str]:
        """The backends to measure: baseline and candidate, each as of its revision. Raises UsageError."""
        check_names(self.variant, ())
        one, other = self.baseline or self.candidate, self.candidate or self.baseline
        if not one or not other or not ((self.baseline and self.candidate) or self.baseline_ref or self.candidate_ref):
            raise UsageError(
                "a check needs two sides: --baseline and --candidate, one of them with --baseline-ref or "
                "--candidate-ref, or BASE.csv CANDIDATE.csv of earlier runs."
            )
        base, candidate = self._form(one, self.baseline_ref), self._form(other, self.candidate_ref)
        if base == candidate:
            raise UsageError(f"--baseline and --candidate are both {base}; name two.")
        return base, candidate

    def _form(self, spec: str, revision: str | None) -> str:
        """A backend as of a git revision, or one of the variants, as rows name it."""
        from collbench.registry import at_revision

        if any(spec == variant.name for variant in self.variant):
            return spec
        return at_revision(params.backend_spec(spec), revision) if revision else params.backend_spec(spec)

    @property
    def backends(self) -> tuple[str, str] | None:
        """The backends to compare between files; None for each with itself."""
        one, other = self.baseline or self.candidate, self.candidate or self.baseline
        return (one, other) if one and other else None

    def files(self, given: tuple[Path, ...]) -> tuple[list[Path], list[Path]]:
        """The results files of base and candidate, from two arguments or from the options. Raises UsageError."""
        if given and self.given_files:
            raise UsageError("name the files as arguments, or with --baseline-files and --candidate-files; not both.")
        if not given and not (self.baseline_files and self.candidate_files):
            raise UsageError("--baseline-files and --candidate-files belong together; give both.")
        if given and len(given) != 2:
            raise UsageError(f"a check of files needs two, BASE.csv CANDIDATE.csv, not {len(given)}.")
        base, candidate = (
            ([given[0]], [given[1]]) if given else map(_found, (self.baseline_files, self.candidate_files))
        )
        both = {os.path.realpath(path) for path in base} & {os.path.realpath(path) for path in candidate}
        if both:
            raise UsageError(f"{sorted(both)[0]} is on both sides; name another file.")
        return base, candidate


@dataclass(frozen=True)
class RuleOptions:
    """The options that fix when a check decides what; ``margin`` is a relative change."""

    margin: float | None
    max_launches: int
    fail_fast: bool


@dataclass(frozen=True)
class SamplingOptions:
    """The options of the measurement."""

    warmup: int
    samples: int | None
    max_seconds: float
    verify: bool


@dataclass(frozen=True)
class CheckTargetOptions:
    """The options for the files of a check."""

    output: Path | None
    force: bool
    resume: bool
    junit: Path | None
    charts: Path | None

    def checked(self) -> Path | None:
        """The results file, if given, without symlinks. Raises UsageError for options that contradict each other, and
        for reports that cannot be written."""
        if self.junit:
            check_folder(self.junit.parent, self.junit)  # a measurement must not end without its report
        if self.charts:
            check_folder(self.charts, self.charts)
        return params.results_file(self.output, self.force, self.resume)


def fixed_words(words: Sequence[str], base: str, candidate: str) -> tuple[str, ...]:
    """The words of a command line with the sides as they are named here: ranks that start later then take the
    revisions of now."""
    named = ("--baseline", "--candidate", "--baseline-ref", "--candidate-ref")
    pairs = zip(("", *words), words, strict=False)
    left_out = (*named, "--")  # after which options would be files
    kept = [word for before, word in pairs if before not in named and word.partition("=")[0] not in left_out]
    return (*kept, "--baseline", base, "--candidate", candidate)


def _found(globs: Sequence[str]) -> list[Path]:
    """The results files that match. Raises UsageError where nothing does."""
    from collbench.results.records import without_samples

    paths = without_samples(Path(name) for text in globs for name in sorted(glob.glob(text)))
    if not paths:
        raise UsageError(f"no results file matches {' '.join(globs)}.")
    return list(dict.fromkeys(paths))


sides = Group("sides", SideOptions, [
    click.option("--baseline", shell_complete=params.complete_backend, help="Backend to compare with, "
                 "NAME[:KEY=VALUE:...]; of files, one of theirs."),
    click.option("--candidate", shell_complete=params.complete_backend, help="Backend to judge.  "
                 "[default: the baseline's, with a --...-ref]"),
    click.option("--baseline-ref", metavar="REV", help="Take the baseline's kernels as of this git revision."),
    click.option("--candidate-ref", metavar="REV", help="Take the candidate's kernels as of this git revision."),
    params.variant,
    click.option("--baseline-files", multiple=True, metavar="GLOB", help="Results files of the baseline, instead of "
                 "measuring; each is a replicate."),
    click.option("--candidate-files", multiple=True, metavar="GLOB", help="Results files of the candidate."),
])  # fmt: skip
rule = Group("rule", RuleOptions, [
    click.option("--margin", type=params.MARGIN, help="Change that does not matter yet.  "
                 "[default: 2%; for files 4%]"),
    click.option("--max-launches", default=20, show_default=True, type=click.IntRange(min=1),
                 help="Launches after which what is undecided stays unclear."),
    click.option("--fail-fast", is_flag=True, help="End at the first look that finds a case slower."),
])  # fmt: skip
sampling = Group("sampling", SamplingOptions, [
    click.option("--warmup", default=10, show_default=True, type=click.IntRange(min=0),
                 help="Minimum number of calls before timing."),
    click.option("--samples", type=click.IntRange(min=1), help="Samples per case and launch.  [default: until the "
                 "median is known to 1 %]"),
    click.option("--max-seconds", default=0.3, show_default=True, type=params.POSITIVE,
                 help="Time limit for the samples of one case in one launch, in seconds."),
    click.option("--verify/--no-verify", default=True, help="Prove every answer.  [default: verify]"),
])  # fmt: skip
target = Group("target", CheckTargetOptions, [
    click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Results file.  "
                 "[default: results/<time>-<machine>-check.csv]"),
    click.option("--force", is_flag=True, help="Replace the results file."),
    click.option("--resume", is_flag=True, help="Continue the check of the results file."),
    click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write a JUnit report, a test case "
                 "for each case of the check."),
    click.option("--plot", "charts", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
                 help="Draw changes with their intervals and the margin into this folder, as PNG and SVG."),
])  # fmt: skip
