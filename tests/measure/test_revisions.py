"""Kernels of git revisions beside the present ones in one launch: each with its own headers and its own table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from checkouts import Tree, a_tree, git
from emulated import needs_compiler
from running import Mpi, Ran

from collbench.host.shipped import shipped
from collbench.tune import table as tuned
from collbench.tune.table import Choice

pytestmark = needs_compiler
QUICK = ("--sizes", "4K", "--samples", "2", "--max-seconds", "0.02", "--warmup", "1", "--ranks", "2", "-o", "r.csv")
# Leaves out the first element of every word: a mistake in a header alone.
FAULT = ("common/cells.cuh", "INLINE void add(Sum& s, Words x) {\n  UNROLL for (int i = 0;",
         "INLINE void add(Sum& s, Words x) {\n  UNROLL for (int i = 1;")  # fmt: skip


@pytest.fixture
def tree(mpich: Mpi) -> Tree:
    """A checkout of collbench: ``wrong`` has a mistake in a header, the next commit has none."""
    tree = a_tree(mpich.folder / "checkout", whole=True)
    file, right, wrong = FAULT
    tree.change(file, right, wrong)
    tree.commit("wrong")
    git(tree.top, "tag", "wrong")
    tree.change(file, wrong, right)
    tree.commit("right")
    return tree


def run(mpich: Mpi, tree: Tree, *arguments: str, ranks: int | None = None, **variables: str) -> Ran:
    """Run the collbench of the checkout."""
    return mpich.run(*arguments, ranks=ranks, PYTHONPATH=str(tree.top), CUDA_VISIBLE_DEVICES="", **variables)


def short(tree: Tree, revision: str) -> str:
    return git(tree.top, "rev-parse", "--short=7", revision)


def test_the_emulator_finds_the_mistake_of_the_revision_that_has_it(mpich: Mpi, tree: Tree) -> None:
    words = ("--layout", "1x3", "--dtype", "float32", "--sizes", "8,1028", "--seeds", "2", "--json")
    backends = ("--backend", "oneshot@wrong,oneshot@HEAD,oneshot")
    ran = run(mpich, tree, "verify", "--emulate", *backends, *words)
    assert ran.code == 3, ran.err
    found = {each["backend"]: each["status"] for each in json.loads(ran.out)}
    assert found == {
        f"oneshot@{short(tree, 'wrong')}": "wrong",
        f"oneshot@{short(tree, 'HEAD')}": "ok",
        "oneshot": "ok",
    }
    assert f"--backend oneshot@{short(tree, 'wrong')} " in ran.err, "the command that plays it again names the commit"


def test_forms_of_a_kernel_are_timed_in_one_launch(mpich: Mpi, tree: Tree) -> None:
    wrong, right = (f"oneshot@{short(tree, name)}" for name in ("wrong", "HEAD"))
    for _ in range(2):  # compiled, and from the cache
        ran = run(mpich, tree, "sweep", "--backend", "oneshot,oneshot@wrong,oneshot@HEAD", *QUICK, "--force")
        assert ran.code == 3, ran.err
        assert {row.backend: row.status for row in mpich.rows()} == {"oneshot": "ok", wrong: "wrong", right: "ok"}
    (entry,) = json.loads((mpich.folder / "r.json").read_text())["launches"]
    commits = {form: git(tree.top, "rev-parse", name) for form, name in ((wrong, "wrong"), (right, "HEAD"))}
    assert entry["revisions"] == commits
    assert f"oneshot,{wrong},{right}" in entry["argv"]
    assert entry["sweep"]["backends"] == ["oneshot", wrong, right]
    compared = run(mpich, tree, "compare", "r.csv", "--backend", "oneshot@HEAD,oneshot")
    assert f"{right} ÷ oneshot" in compared.out
    assert run(mpich, tree, "compare", "r.csv", "--backend", "oneshot@HEAD~2,oneshot").code == 2


def test_a_sweep_is_continued_with_the_commits_that_it_began_with(mpich: Mpi, tree: Tree) -> None:
    ran = run(mpich, tree, "sweep", "--backend", "oneshot@HEAD", *QUICK)
    assert ran.code == 0, ran.err
    before = short(tree, "HEAD")
    git(tree.top, "commit", "--quiet", "--allow-empty", "--message", "next")
    ran = run(mpich, tree, "sweep", "--backend", f"oneshot@{before}", *QUICK, "--resume")
    assert len(mpich.rows()) == 1, "nothing is left to do"
    ran = run(mpich, tree, "sweep", "--backend", "oneshot@HEAD", *QUICK, "--resume")
    assert ran.code == 0, ran.err
    assert [row.backend for row in mpich.rows()] == [f"oneshot@{before}", f"oneshot@{short(tree, 'HEAD')}"]


def test_nvrar_chooses_from_the_table_of_its_revision(mpich: Mpi, tree: Tree) -> None:
    assert run(mpich, tree, "sweep", "--backend", "nvrar", *QUICK).code == 0
    last = json.loads((mpich.folder / "r.json").read_text())["launches"][-1]
    (row,) = mpich.rows()
    key = tuned.key_of(
        "nvrar", row.collective, row.dtype, row.op, row.nodes, row.gpus_per_node, row.fabric, last["ranks"][0]["cpu"],
        last["versions"],
    )  # fmt: skip
    for threads in (32, 96):
        choice = Choice(row.bytes, f"nvrar-ll:blocks=2:threads={threads}", 2.0, "oneshot", 3.0, 3, "run")
        (tree.kernels / "tuned.toml").write_text(tuned.dump({key: (choice,)}))
        tree.commit()
    ran = run(mpich, tree, "sweep", "--backend", "nvrar@HEAD~1,nvrar", *QUICK, "--force")
    assert ran.code == 0, ran.err
    params = {row.backend: row.params for row in mpich.rows()}
    assert "blocks=2;threads=32" in params[f"nvrar@{short(tree, 'HEAD~1')}"]
    assert "blocks=2;threads=96" in params["nvrar"]


def test_stories_on_ranks_take_a_revision(mpich: Mpi, tree: Tree) -> None:
    words = ("verify", "--backend", "oneshot@wrong,oneshot", "--ranks", "2", "--sizes", "64", "--story", "mixed-sizes")
    ran = run(mpich, tree, *words, "--json")
    assert ran.code == 3, ran.err
    statuses = {(each["backend"], each["status"]) for each in json.loads(ran.out)}
    assert statuses == {(f"oneshot@{short(tree, 'wrong')}", "wrong"), ("oneshot", "ok")}


def test_ranks_give_a_commit_that_their_host_lacks_its_rows(mpich: Mpi, tree: Tree) -> None:
    ran = run(mpich, tree, "sweep", "--backend", "oneshot@1234567,oneshot", *QUICK[:-4], *QUICK[-2:], ranks=2)
    assert ran.code == 0, ran.err
    rows = {row.backend: (row.status, row.reason) for row in mpich.rows()}
    assert rows["oneshot"][0] == "ok"
    assert rows["oneshot@1234567"][0] == "skipped"
    assert "has no revision '1234567'" in rows["oneshot@1234567"][1]


def test_jobs_take_the_commits_of_the_day_they_are_submitted(mpich: Mpi, tree: Tree) -> None:
    shutil.copytree(shipped("jobs"), tree.top / "jobs")
    words = ("--profile", "local", "--nodes", "1", "--dry-run", "--backend", "oneshot@HEAD,mpi", "--sizes", "4K")
    ran = run(mpich, tree, "submit", *words)
    assert ran.code == 0, ran.err
    assert f"--backend 'oneshot@{short(tree, 'HEAD')},mpi' --sizes 4K" in ran.out
    assert "@HEAD" not in ran.out


def test_tune_takes_backends_as_they_are(mpich: Mpi, tree: Tree) -> None:
    ran = run(mpich, tree, "tune", "--backend", "oneshot@HEAD", "--dry-run", "--ranks", "2")
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
    assert f"omit @{short(tree, 'HEAD')}" in ran.err


MISTAKES = {
    "oneshot@topic": "has no revision 'topic'; give a branch, a tag or a hash.",
    "nvrar@HEAD@{9}": "has no revision 'HEAD@{9}'",
    "nvrar@a:b": "'b' in backend 'nvrar@a:b' is not a parameter",
    "nvrar@a,b=c": "has no revision 'a'",
    "oneshot@HEAD:block=8": "did you mean 'blocks'?",
    "onesho@HEAD": "did you mean 'oneshot'?",
    "mpi@HEAD": "backend mpi has no form 'HEAD'",
}


def test_mistakes_end_the_command_with_a_sentence(mpich: Mpi, tree: Tree) -> None:
    for spec, words in MISTAKES.items():
        ran = run(mpich, tree, "sweep", "--dry-run", "--backend", spec, "--ranks", "2")
        assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
        assert words in ran.err


def test_without_git_only_the_present_kernels_run(mpich: Mpi, tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for spec, code in (("oneshot@HEAD", 2), ("oneshot", 0)):
        ran = run(mpich, tree, "sweep", "--dry-run", "--backend", spec, "--ranks", "2", PATH=str(tmp_path / "bin"))
        assert (ran.code, "git, which is not installed here" in ran.err) == (code, code == 2), ran.err
