"""Profiles of clusters: ours are whole, users' own are read strictly."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from readmes import TEXTS

from collbench.batch.job import Job
from collbench.errors import UsageError
from collbench.host import transports
from collbench.jobs import profiles
from collbench.jobs.profiles import find, folder, load, names
from collbench.jobs.scripts import script

GOOD = 'launch = ["srun"]\n'
SETTING = '[variables.NAME]\nvalue = "1"\nwhy = "w"\nsource = "s"\nconfirmed = true\n'


def a_file(folder: Path, text: str) -> Path:
    """A profile with that text."""
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", names())
def test_every_setting_of_ours_has_its_reason_and_its_source(name: str) -> None:
    profile = find(name)
    assert profile.about
    assert profile.launch
    for setting in profile.settings:
        assert len(setting.why) > 10, setting
        assert len(setting.source) > 3, setting
        assert not setting.confirmed or re.search(r"\d", setting.source), f"of which date or version? {setting}"


def test_the_profiles_that_are_promised() -> None:
    machines = {"perlmutter", "vista", "clariden", "isambard-ai", "jupiter", "juwels-booster", "deltaai", "polaris"}
    assert set(names()) >= {"slingshot", "infiniband", "local", *machines}
    assert all(find(name).unsettled and find(name).gpus_per_node for name in machines), "nobody has run on them"


def test_limits_that_the_profiles_know() -> None:
    assert [limit.nodes for limit in find("vista").limits] == [64, 8]
    debug, normal, low = find("clariden").limits
    assert (debug.nodes, debug.node_minutes, debug.jobs) == (4, 90, 2)
    assert (normal.seconds, low.seconds) == (12 * 3600, 24 * 3600)


@pytest.mark.parametrize("name", names())
def test_every_limit_names_a_document_with_its_date(name: str) -> None:
    assert all(re.search(r"of \d{4}-\d\d|read in \d{4}", limit.source) for limit in find(name).limits)


def test_where_every_rank_is_shown_one_gpu_all_are_asked_for() -> None:
    for name in ("jupiter", "juwels-booster"):
        assert "export CUDA_VISIBLE_DEVICES=0,1,2,3" in find(name).before


def test_what_a_module_of_isambard_sets_stays() -> None:
    profile = find("isambard-ai")
    assert all(each.keep for each in profile.settings if each.name.startswith(("NCCL_", "FI_")) and each.value)
    assert profile.before[-1] == "unset NCCL_DEBUG", "or NCCL does not say which network it uses"


def test_a_container_is_entered_by_each_step_and_not_by_the_job() -> None:
    profile = find("clariden")
    assert any(word.startswith("--environment=") for word in profile.launch)
    assert "environment" not in profile.slurm


def test_a_network_is_not_forced_upon_one_node() -> None:
    for name in names():
        set_on_one = {setting.name for setting in find(name).settings if setting.applies(1)}
        assert not set_on_one & {"NCCL_NET", "NVSHMEM_REMOTE_TRANSPORT", "FI_PROVIDER"}, name


def test_a_module_does_not_force_a_network_upon_one_node() -> None:
    (net,) = (setting for setting in find("slingshot").settings if setting.name == "NCCL_NET")
    assert net.unset_elsewhere


def test_values_that_nobody_confirms_give_way_to_those_of_the_site() -> None:
    named = [setting for setting in find("vista").settings if setting.name.endswith("IFNAME")]
    assert [(setting.confirmed, setting.keep) for setting in named] == [(False, True)] * 2


def test_no_profile_hides_the_other_gpus_of_a_node_from_a_rank() -> None:
    for name in names():
        profile = find(name)
        assert not set(profile.slurm) & {"gpus-per-task", "gpu-bind"}
        assert not any("gpus-per-task" in word for word in profile.launch)


def test_what_a_profile_is_like_is_taken_over_and_replaced() -> None:
    vista, infiniband = find("vista"), find("infiniband")
    assert "gpus-per-node" in infiniband.slurm
    assert set(vista.slurm) == {"time", "partition"}
    theirs = {setting.name: setting for setting in infiniband.settings}
    ours = {setting.name: setting for setting in vista.settings}
    assert theirs.items() <= ours.items()
    assert ours["NCCL_SOCKET_IFNAME"].confirmed is False


def test_what_profiles_say_of_puts_is_what_kernels_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(transports.WORDS_ONCE, raising=False)
    said = {name: {setting.name: setting.value for setting in find(name).settings} for name in names()}
    for name in ("slingshot", "perlmutter"):
        assert said[name][transports.WORDS_ONCE] is None
        assert transports.doubt(f"libfabric/{said[name]['NVSHMEM_LIBFABRIC_PROVIDER']}")
    for name in ("infiniband", "vista"):
        assert transports.doubt(said[name]["NVSHMEM_REMOTE_TRANSPORT"] or "") is None
        assert said[name]["NVSHMEM_IB_ENABLE_RELAXED_ORDERING"] == "1"
    rows = re.findall(r"^\| (`.+?) \| (yes|no|not known) \|", (folder() / "README.md").read_text("utf-8"), re.MULTILINE)
    listed = {transport: once for cell, once in rows for transport in re.findall(r"`([\w/]+)`", cell)}
    assert {name for name, once in listed.items() if once == "yes"} == set(transports.WHOLE_WORDS_ONCE)
    assert {name for name in listed if transports.doubt(name)} == listed.keys() - set(transports.WHOLE_WORDS_ONCE)


def test_a_profile_of_the_user(tmp_path: Path) -> None:
    text = 'like = "vista"\ngpus_per_node = 8\nlaunch = ["srun"]\n[slurm]\npartition = "p"\n'
    reported = SETTING.replace('"1"', "false").replace("true", 'false\nwhere = "one node"')
    profile = load(a_file(tmp_path, text + reported))
    assert (profile.name, profile.gpus_per_node, profile.launch, profile.slurm["partition"]) == (
        "mine",
        8,
        ("srun",),
        "p",
    )
    (setting,) = (each for each in profile.settings if each.name == "NAME")
    assert (setting.value, setting.applies(1), setting.applies(2)) == (None, True, False)


def test_the_annotated_example_is_a_profile(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(TEXTS["jobs/README.md"].split("\n## Another cluster\n")[1].split("```toml\n")[1].split("```")[0])
    ours = load(path)
    (limit,) = ours.limits
    assert (limit.partition, limit.nodes, limit.seconds, limit.jobs) == ("gpu", 64, 86400, 10)
    assert ours.unsettled == ("is NCCL_IB_HCA needed?",)
    asked = Job("r", 2, 8, 8, 1, 1, False, (), {"account": "a"})
    lines = script(asked, ours).splitlines()
    assert {"#SBATCH --partition=gpu", "#SBATCH --gres=gpu:8", "module load openmpi"} <= set(lines)
    assert not [line for line in lines if "--gpus-per-node" in line]
    (kept,) = [line for line in lines if line.startswith("if [[ -v NCCL_IB_HCA ]]")]
    assert kept.endswith("NCCL_IB_HCA=mlx5; fi; export NCCL_IB_HCA")
    assert "export NCCL_IB_HCA" not in script(replace(asked, nodes=1), ours)


def test_names_of_variables_that_give_way_to_the_environment(tmp_path: Path) -> None:
    """As where a site's module sets them; what the job unsets is unset."""
    more = SETTING.replace("NAME", "NCCL_X") + SETTING.replace("NAME", "NCCL_Y").replace('"1"', "false")
    profile = load(a_file(tmp_path, f'keep = ["NCCL_*"]\n{GOOD}{SETTING}{more}'))
    assert [(each.name, each.keep) for each in profile.settings] == [
        ("NAME", False), ("NCCL_X", True), ("NCCL_Y", False),
    ]  # fmt: skip


def test_it_is_found_by_its_path(tmp_path: Path) -> None:
    assert find(str(a_file(tmp_path, GOOD))).name == "mine"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "`launch` is missing"),
        ("launch = 'srun'", "launch = 'srun' is not a list of strings"),
        ("launch = [1]", "is not a list of strings"),
        ("launch = [", "cannot be read"),
        (f"{GOOD}gpu_per_node = 4", "did you mean 'gpus_per_node'"),
        (f"{GOOD}like = 'vist'", "did you mean 'vista'"),
        (f"{GOOD}[slurm]\n'a b' = 1", "'a b' is not a long option"),
        (f"{GOOD}[variables.'a b']\nvalue = '1'", "variable a b is not a valid name"),
        (f"{GOOD}[variables.A]\nvalue = '1'", "give value, why, source and confirmed"),
        (GOOD + SETTING.replace('"1"', "1"), "value = 1 is not a string; write numbers as strings"),
        (GOOD + SETTING.replace("true", "'yes'"), "confirmed = 'yes' is not true or false"),
        (f"{GOOD}{SETTING}where = 'two nodes'", "unknown place"),
        (f"{GOOD}{SETTING}wher = 'one node'", "did you mean 'where'"),
        (f"{GOOD}{SETTING}where = 'one node'\nelsewhere = true", "`elsewhere` can only be false"),
        (f"{GOOD}{SETTING}elsewhere = false", "beside `where`"),
        (f"keep = ['NCCL_*']\n{GOOD}{SETTING}", r"keep = 'NCCL_\*' fits none of the variables"),
        (f"{GOOD}limits = 1", r"limits = 1 is not a list of tables; write \[\[limits\]\]"),
        (f"gpus_per_node = -4\n{GOOD}", "gpus_per_node = -4 is less than 0"),
        (f"gpus_per_node = true\n{GOOD}", "gpus_per_node = True is not an integer"),
        (f"ranks_per_node = 0\n{GOOD}", "ranks_per_node = 0 is less than 1"),
        ("launch = ['']", "`launch` is missing"),
        (f"collbench = ['']\n{GOOD}", "the first word of `collbench` is empty"),
        (f"open = {'[' * 3000}{']' * 3000}\n{GOOD}", "cannot be read: maximum recursion depth"),
        (f'open = ["\\u001b[2J"]\n{GOOD}', r"open has '\\x1b\[2J', with a non-printable character"),
        (f'before = ["true \\u0000"]\n{GOOD}', "before has .* non-printable"),
        (f'{GOOD}[[limits]]\nsource = "\\u001b[2J"', "limits has .* non-printable"),
        (f'{GOOD}[variables."\\u001b[2J"]', "variables has .* non-printable"),
        (f"{GOOD}[slurm]\nnodes = 7", "nodes is set by collbench for each job; omit it"),
        (f"{GOOD}[slurm]\nchdir = '/x'", "chdir is set by collbench"),
        (
            f"{GOOD}[slurm]\nntasks-per-node = 7",
            "set by collbench for each job; give ranks_per_node",
        ),
        (f"{GOOD}[slurm]\ntime = ['1']", r"time = \['1'\] is not one value"),
        (f"{GOOD}[slurm]\ntime = {{a = 1}}", "is not one value"),
        (GOOD + SETTING.replace("NAME", "part"), "names in lower case are those of the script"),
        (f"{GOOD}{SETTING}keep = 1", "keep = 1 is not true or false"),
        (GOOD + SETTING.replace('"1"', "false") + "keep = true", "contradict each other"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load(a_file(tmp_path, text))


def test_a_profile_that_is_like_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "folder", lambda: tmp_path)
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.toml").write_text(f'like = "{other}"\nlaunch = ["srun"]\n')
    with pytest.raises(UsageError, match="is circular"):
        find("a")


def test_one_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="did you mean 'perlmutter'"):
        find("perlmuter")
    with pytest.raises(UsageError, match="does not exist"):
        find("./nowhere.toml")
