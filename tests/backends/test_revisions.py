"""Specs that name a git revision: their canonical form, the backends that they are, and their names in rows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from checkouts import Tree, a_tree, git
from samples import a_layout, a_problem

from collbench import registry
from collbench.backends import _kernels, nvrar
from collbench.backends._kernels import KernelBackend
from collbench.backends.nvrar import Nvrar, NvrarSession
from collbench.cli.params import backend_spec, canonical_words
from collbench.errors import UsageError
from collbench.host import environment
from collbench.ranks.launcher import Launcher
from collbench.registry import Unusable, at_revision, canonical, commits, form_in
from collbench.tune import table as tuned
from collbench.tune.table import Choice

FACTS = {"name": "H200", "driver": 13020, "nccl": "2.28.9"}
LL = "nvrar-ll:blocks=2:threads=256"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A checkout with our kernels, committed once; nothing is tuned."""
    tree = a_tree(tmp_path / "tree")
    (tree.kernels / "tuned.toml").unlink()
    monkeypatch.setattr("collbench.host.shipped.PACKAGE", tree.top / "collbench")
    monkeypatch.setenv("COLLBENCH_TUNED", str(tmp_path / "none.toml"))
    tree.commit("first")
    return tree


def head(tree: Tree) -> str:
    return git(tree.top, "rev-parse", "--short=7", "HEAD")


@pytest.mark.parametrize("spec", ["nvrar", "nvrar-lamport", "nvrar-lamport:blocks=8:batch=2"])
def test_every_way_to_write_a_revision_has_one_canonical_form(tree: Tree, spec: str) -> None:
    git(tree.top, "tag", "v1.0")
    name, colon, parameters = spec.partition(":")
    expected = f"{name}@{head(tree)}{colon}{parameters}"
    for text in ("HEAD", "v1.0", "HEAD^{/first}", head(tree), git(tree.top, "rev-parse", "HEAD")):
        assert at_revision(spec, text) == expected
        assert canonical(f"{name}@{text}{colon}{parameters}") == expected
    assert at_revision(spec, ":/first") == expected, "only a spec cannot hold a colon"
    assert canonical(expected) == expected
    assert commits([expected, "mpi"]) == {f"{name}@{head(tree)}": git(tree.top, "rev-parse", "HEAD")}


def test_other_specs_are_their_own_canonical_form() -> None:
    for spec in ("mpi", "nvrar", "nvrar-ll:blocks=8"):
        assert canonical(spec) == spec
    assert commits(["mpi", "nvrar", "nvrar-ll:blocks=8"]) == {}


@pytest.mark.parametrize(
    ("spec", "revision", "words"),
    [
        ("mpi", "HEAD", "backend mpi has no git revisions; only nvrar and kernel files have."),
        ("nvrar@HEAD", "HEAD", "backend 'nvrar@HEAD' names a form of its own; omit @HEAD, or the revision HEAD."),
        ("nvrar", "a:b", "has no revision 'a:b'"),
        ("nvrar", "HEAD@{1}", "has no revision 'HEAD@{1}'"),
        ("oneshot:blocks=many", "HEAD", "blocks='many' is not a whole number"),
        ("nvrar:blocks=8", "HEAD", "backend nvrar takes no parameters; omit blocks."),
    ],
)
@pytest.mark.usefixtures("tree")
def test_mistakes_get_a_sentence(spec: str, revision: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        at_revision(spec, revision)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_backends_without_revisions_have_no_form_of_that_name(tree: Tree) -> None:
    (tree.kernels / "mpi.cu").write_text((tree.kernels / "oneshot.cu").read_text())  # hidden: mpi is built in
    tree.commit()
    with pytest.raises(UsageError, match="backend mpi has no form 'HEAD'; omit @HEAD"):
        registry.find("mpi@HEAD")


def test_a_kernel_of_a_revision_is_a_backend_with_its_parameters(tree: Tree) -> None:
    tree.change("oneshot.cu", "threads = [", "threads = [96, ")
    tree.commit()
    before, now = (registry.find(at_revision("oneshot", text)) for text in ("HEAD~1", "HEAD"))
    assert isinstance(before, KernelBackend)
    assert isinstance(now, KernelBackend)
    assert 96 in now.kernel.file.threads
    assert 96 not in before.kernel.file.threads
    specs = now.candidates(a_problem(size=64 << 10))
    assert all(spec.split(":")[0] == f"oneshot@{head(tree)}" for spec in specs)
    for spec in specs:
        assert canonical(spec) == spec


def test_a_rank_gives_a_commit_that_it_lacks_its_rows(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    for spec in ("oneshot@1234567", "nvrar@1234567"):
        found = registry.find(spec)
        assert isinstance(found, Unusable)
        assert "has no revision '1234567'" in found.reason
        assert "has no revision '1234567'" in str(registry.refusals()(a_problem(), spec))
        with pytest.raises(UsageError, match="has no revision '1234567'"):
            backend_spec(spec)
    assert commits(["oneshot@1234567"]) == {}
    monkeypatch.setattr("collbench.ranks.start.launch_of", lambda variables: Launcher("mpiexec", 0, 2))
    assert backend_spec("oneshot@1234567:blocks=8") == "oneshot@1234567:blocks=8"
    for spec, words in (("oneshot@topic", "has no revision 'topic'"), (f"oneshot@{head(tree)}:block=8", "'blocks'")):
        with pytest.raises(UsageError, match=words):
            backend_spec(spec)


def test_ranks_and_jobs_get_commits_instead_of_names(tree: Tree) -> None:
    words = ["sweep", "--backend", "nvrar@HEAD, mpi,oneshot@HEAD:blocks=8", "-o", "nvrar@HEAD", "--backend=nvrar@HEAD"]
    one = f"nvrar@{head(tree)}"
    listed = f"{one},mpi,oneshot@{head(tree)}:blocks=8"
    assert canonical_words(words) == ["sweep", "--backend", listed, "-o", "nvrar@HEAD", f"--backend={one}"]


def test_rows_are_found_by_any_name_of_their_revision(tree: Tree) -> None:
    commit = git(tree.top, "rev-parse", "HEAD")
    rows = ("mpi", "nvrar", "nvrar@1234567", "nvrar@", "nccl@tree-ll", f"nvrar@{commit[:9]}", f"nvrar@{commit[:7]}:x=1")
    assert form_in("nvrar@HEAD", rows) == f"nvrar@{commit[:9]}", "rows of another day may have more digits"
    assert form_in("nvrar@HEAD:x=1", rows) == f"nvrar@{commit[:7]}:x=1"
    for name in (*rows, "nccl@ring"):
        assert form_in(name, rows) == name
    assert form_in("oneshot@HEAD", rows) == f"oneshot@{commit[:7]}"
    with pytest.raises(UsageError, match="has no revision 'topic'"):
        form_in("nvrar@topic", rows)


# ---- nvrar ----


def commit_table(tree: Tree, spec: str) -> str:
    """Commit a tuned table that has ``spec`` for the machine of these tests."""
    problem = a_problem()
    key = tuned.key_of(
        "nvrar", "all_reduce", problem.dtype.name, "sum", 1, problem.layout.size, "nvlink", FACTS,
        environment.versions(),
    )  # fmt: skip
    choice = Choice(problem.bytes, spec, 2.0, "oneshot", 3.0, 3, "run")
    (tree.kernels / "tuned.toml").write_text(tuned.dump({key: (choice,)}))
    tree.commit()
    return head(tree)


def picked(monkeypatch: pytest.MonkeyPatch, label: str) -> str:
    """The spec of the kernel that ``nvrar`` of a revision chooses."""
    monkeypatch.setattr("collbench.host.fabric.gpu_link", lambda: "nvlink")
    monkeypatch.setattr(nvrar, "open_communicator", lambda *_: SimpleNamespace(reaches=lambda ranks: True))
    session = SimpleNamespace(prepare=lambda *_: None)
    found: list[str] = []

    def find(spec: str) -> object:
        found.append(spec)
        return SimpleNamespace(open=lambda *_: session)

    world: Any = SimpleNamespace(led=lambda action: action(), is_local=True, kind="gpu", facts=lambda: FACTS)
    none: Any = None
    with monkeypatch.context() as patch:
        patch.setattr(_kernels, "find", find)
        NvrarSession(world, world, 0, none, Nvrar(label)).prepare(a_problem(), none, none)
    return found[0]


def test_the_table_is_that_of_the_revision(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = head(tree), commit_table(tree, LL)
    third = commit_table(tree, "nvrar-lamport:blocks=4:threads=256")
    assert picked(monkeypatch, first) == f"oneshot@{first}"
    assert picked(monkeypatch, second) == f"nvrar-ll@{second}:blocks=2:threads=256"
    assert picked(monkeypatch, third) == f"nvrar-lamport@{third}:blocks=4:threads=256"
    assert picked(monkeypatch, "") == "nvrar-lamport:blocks=4:threads=256"
    monkeypatch.setenv("COLLBENCH_TUNED", str(tmp_path / "mine.toml"))
    (tmp_path / "mine.toml").write_text((tree.kernels / "tuned.toml").read_text().replace("blocks=4", "blocks=1"))
    assert picked(monkeypatch, "") == "nvrar-lamport:blocks=1:threads=256"
    assert picked(monkeypatch, third) == f"nvrar-lamport@{third}:blocks=4:threads=256", "a user's is of no revision"


def test_what_it_says_of_a_problem_is_said_by_the_kernels_of_the_revision(tree: Tree) -> None:
    tree.change("oneshot.cu", 'wire = "(P-1)*S"', 'wire = "2*(P-1)*S"')
    tree.change("oneshot.cu", 'ops = ["sum", "min", "max"]', 'ops = ["sum"]')
    tree.commit()
    before, now = (registry.find(at_revision("nvrar", text)) for text in ("HEAD~1", "HEAD"))
    problem, least = a_problem(ranks=4), a_problem(ranks=4, op="min")
    assert now.wire_bytes(problem) == 2 * (before.wire_bytes(problem) or 0)
    assert before.refuses(least) is None
    assert now.refuses(least) == f"oneshot@{head(tree)} does not support min, only sum"
    assert set(registry.ways(now)) == {_kernels.NEAR_WRAP}
    for spec in registry.candidates(now, a_problem(layout=a_layout(8))):
        assert f"@{head(tree)}" in spec


def test_between_nodes_it_takes_what_suits_the_size_of_the_kernels_of_the_revision(tree: Tree) -> None:
    of_head, network = Nvrar(head(tree)), SimpleNamespace(refuses=lambda kernel: None, transport=lambda: "tcp")
    world: Any = SimpleNamespace(led=lambda action: action())
    session: Any = NvrarSession(world, world, 0, world, of_head)
    name = session._over(network, "nvrar-put", a_problem(layout=a_layout(8, nodes=8)))
    assert name == "nvrar-put-oneshot-lamport"
    assert of_head.kernel(name).kernel.file.name == f"{name}@{head(tree)}"


@pytest.mark.parametrize("damage", ["table", "kernel", "missing"])
def test_a_revision_must_have_all_that_nvrar_chooses_from(tree: Tree, damage: str) -> None:
    if damage == "table":
        (tree.kernels / "tuned.toml").write_text("schema = 99\n")
    elif damage == "kernel":
        tree.change("nvrar_ll.cu", "/* collbench", "/* other")
    else:
        for name in ("nvrar_put.cu", "nvrar_put_lamport.cu"):
            (tree.kernels / name).unlink()
    tree.commit()
    words = {"table": "was written by a newer collbench", "kernel": f"nvrar-ll@{head(tree)} is not a kernel that this",
             "missing": f"nvrar-put@{head(tree)} does not exist"}  # fmt: skip
    with pytest.raises(UsageError, match=words[damage]):
        at_revision("nvrar", "HEAD")
