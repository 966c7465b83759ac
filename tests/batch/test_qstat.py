"""What qstat prints of jobs. The attributes are those that OpenPBS 23.06.06 printed in runs of it, without those that
nothing here reads."""

from __future__ import annotations

from typing import Any

import pytest

from collbench.batch.qstat import jobs_of, seen
from collbench.batch.system import Seen, SilentError

RAN = {"exec_host": "pbs1/0", "stime": "Thu Nov 26 17:33:44 2026", "resources_used": {"walltime": "00:00:14"}}
AT = "Job run at Thu Nov 26 at 17:33 on (pbs1:ncpus=1)"


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ({"job_state": "Q", "substate": 10, "comment": "Not Running: Insufficient amount of resource: ncpus"},
         Seen("QUEUED", why="Not Running: Insufficient amount of resource: ncpus")),
        ({"job_state": "H", "substate": 22, "depend": "beforeany:22.pbs1@pbs1,afterany:19.pbs1@pbs1"},
         Seen("HELD", why="afterany:19.pbs1@pbs1")),
        ({"job_state": "R", "substate": 42, **RAN, "exec_host": "x1/0*64+x1/1*64+x2/0*64", "comment": AT},
         Seen("RUNNING", "00:00:14", "x1,x2")),
        ({"job_state": "F", "substate": 92, **RAN, "Exit_status": 0, "comment": f"{AT} and finished"},
         Seen("COMPLETED", "00:00:14", "pbs1")),
        ({"job_state": "F", "substate": 93, **RAN, "Exit_status": 143, "comment": f"{AT} and failed"},
         Seen("FAILED", "00:00:14", "pbs1", "exit status 143")),
        ({"job_state": "F", "substate": 93, **RAN, "Exit_status": -29, "comment": f"{AT} and exceeded ..."},
         Seen("TIMEOUT", "00:00:14", "pbs1")),
        ({"job_state": "F", **RAN, "Exit_status": 271, "comment": f"{AT} and exceeded resource walltime"},
         Seen("TIMEOUT", "00:00:14", "pbs1")),
        ({"job_state": "F", "substate": 91, **RAN, "Exit_status": 0, "comment": f"{AT} and terminated by root@pbs1"},
         Seen("DELETED", "00:00:14", "pbs1", "terminated by root@pbs1")),
        ({"job_state": "F", "substate": 91, "comment": "Can Never Run: Not enough total nodes and terminated"},
         Seen("NEVER RAN", why="Can Never Run: Not enough total nodes and terminated")),
        ({"job_state": "F", "substate": 92, "depend": "afterany:777.pbs1@pbs1"},
         Seen("NEVER RAN", why="afterany:777.pbs1@pbs1")),
        ({"job_state": "F", "substate": 91}, Seen("NEVER RAN")),
    ],
)  # fmt: skip
def test_a_job_by_its_attributes(job: dict[str, Any], expected: Seen) -> None:
    assert seen(job) == expected
    assert expected.live == (job["job_state"] != "F")


@pytest.mark.parametrize("letter", list("QHWTMBRESU"))
def test_a_job_that_has_not_ended_is_live(letter: str) -> None:
    assert seen({"job_state": letter}).live


@pytest.mark.parametrize(
    ("value", "read"),
    [("005", "005"), (".5", ".5"), ("5.", "5."), ("0x1F", "0x1F"), ("nan1", "nan1"), ("-00", "-00"), ("5", "5"),
     (r'"a\\,b\,c"', r"a\,b,c"), (r'"it\'s"', "it's"), (r'"a\\"', "a\\"), ('"tab\there"', "tab\there")],
)  # fmt: skip
def test_json_of_old_versions_is_mended(value: str, read: str) -> None:
    text = '{\n\t"Jobs":{\n\t\t"7.pbs1":{\n\t\t\t"Account_Name":VALUE,\n\t\t\t"Bad":007,\n"job_state":"R"\n}\n}\n}'
    job = jobs_of(text.replace("VALUE", value))["7.pbs1"]
    assert (job["Account_Name"], job["job_state"]) == (read, "R")


@pytest.mark.parametrize("text", ["", "No Permission.", "[]", '{"Jobs":[]}', '{"Jobs":{"7.pbs1":1}}', '{"Jobs":{'])
def test_what_is_no_answer(text: str) -> None:
    with pytest.raises(SilentError, match="qstat printed no JSON"):
        jobs_of(text)


def test_an_answer_without_jobs() -> None:
    assert jobs_of('{"timestamp":1795714345,"pbs_version":"23.06.06","pbs_server":"pbs1"}') == {}
