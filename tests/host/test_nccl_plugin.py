"""NCCL's rule for its plugin, tried out on libraries of our own that open or do not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from collbench.host import nccl_plugin
from collbench.host.nccl_plugin import Attempt, names_to_open, variables_of
from collbench.kernels import host_compiler

# As aws-ofi-nccl does it: the name changes to the one that NCCL_NET has.
SOURCE = """
#include <stdlib.h>
#include <strings.h>
struct network { const char *name; void *others[40]; };
extern struct network ncclNetPlugin_v%d;
struct network ncclNetPlugin_v%d = {"Libfabric"};
__attribute__((constructor)) static void rename_it(void) {
  const char *asked = getenv("NCCL_NET");
  if (asked && !strcasecmp(asked, "AWS Libfabric")) ncclNetPlugin_v%d.name = "AWS Libfabric";
}
"""


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (None, [["libnccl-net.so"]]),
        ("none", []),
        ("NONE", []),
        ("", []),
        ("ofi", [["ofi", "libnccl-net-ofi.so"]]),
        ("libnccl-net-ofi.so", [["libnccl-net-ofi.so"]]),
        ("libx", [["libx", "libnccl-net-libx.so"]]),
        ("/opt/ofi", [["/opt/ofi"]]),
        ("a,,b.so", [["a", "libnccl-net-a.so"], ["b.so", "libnccl-net-b.so.so"]]),
    ],
)
def test_the_names_that_nccl_tries(wanted: str | None, names: list[list[str]]) -> None:
    assert names_to_open(wanted) == names


def test_files_of_nccl_add_to_the_environment(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nccl.conf").write_text("NCCL_NET=IB\nNCCL_NET_PLUGIN=a=b\n#NCCL_ALGO=Ring\nnothing\n")
    (tmp_path / ".nccl.conf").write_text("NCCL_NET=Socket\n")
    assert variables_of({"A": "1"}, tmp_path, tmp_path) == {"A": "1", "NCCL_NET": "Socket", "NCCL_NET_PLUGIN": "a=b"}
    assert variables_of({"NCCL_NET": "x"}, tmp_path, tmp_path)["NCCL_NET"] == "x"
    named = variables_of({"NCCL_CONF_FILE": "/nowhere"}, tmp_path, tmp_path)
    assert named["NCCL_NET"] == "IB", "a file that is named takes the place of the user's"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plugins: a good one by its second name, one whose library is gone, one of an old interface, and no library."""
    found = tmp_path_factory.mktemp("plugins")
    compiler = host_compiler.compiler()
    assert compiler, "kernels need one as well"
    (found / "needed.c").write_text("int needed(void) { return 0; }\n")
    for name, version in (("good", 11), ("old", 4)):
        (found / f"{name}.c").write_text(SOURCE % (version, version, version))
    links: dict[str, tuple[str, ...]] = {
        "libneeded.so": ("needed.c", "-Wl,-soname,libneeded.so"), "libnccl-net-ofi.so": ("good.c",),
        "libnccl-net-old.so": ("old.c",), "libnccl-net-alone.so": ("good.c", "-Wl,--no-as-needed", "-L.", "-lneeded"),
    }  # fmt: skip
    for library, parts in links.items():
        command = [compiler[0], "-x", "c", parts[0], "-x", "none", "-shared", "-fPIC", "-o", library, *parts[1:]]
        subprocess.run(command, cwd=found, check=True, capture_output=True)
    (found / "libneeded.so").unlink()
    (found / "libnccl-net-text.so").write_text("not a library\n")
    return found


def tried(folder: Path, **variables: str) -> list[Attempt]:
    """What opening leads to with the folder on the loader's path."""
    found = nccl_plugin.find({"LD_LIBRARY_PATH": str(folder), "NCCL_CONF_FILE": "/nowhere", **variables})
    assert found is not None
    return list(found.attempts)


def test_a_plugin_is_opened_by_the_names_that_nccl_knows_alone(folder: Path) -> None:
    (missing,) = tried(folder)
    assert (missing.name, missing.network, missing.missing) == ("libnccl-net.so", "", "")
    assert missing.error.startswith("libnccl-net.so: cannot open shared object file")
    first, second = tried(folder, NCCL_NET_PLUGIN="ofi")
    assert (first.name, bool(first.error)) == ("ofi", True)
    assert second == Attempt("libnccl-net-ofi.so", "Libfabric", "")
    path = f"{folder}/libnccl-net-ofi.so"
    assert tried(folder, NCCL_NET_PLUGIN=path, NCCL_NET="aws libfabric") == [Attempt(path, "AWS Libfabric", "")]
    found = nccl_plugin.find({"LD_LIBRARY_PATH": str(folder)})
    assert found is not None
    assert path in found.files


def test_a_plugin_that_is_there_may_be_of_no_use(folder: Path) -> None:
    *_, alone = tried(folder, NCCL_NET_PLUGIN="alone")
    assert (alone.name, alone.missing) == ("libnccl-net-alone.so", "libneeded.so")
    *_, old = tried(folder, NCCL_NET_PLUGIN="old")
    assert old == Attempt("libnccl-net-old.so", "", "")
    *_, text = tried(folder, NCCL_NET_PLUGIN="text")
    assert text.error
    assert not text.missing


def test_nothing_is_said_of_a_plugin_in_the_program_itself() -> None:
    assert nccl_plugin.find({"NCCL_NET_PLUGIN": "static_plugin"}) is None
