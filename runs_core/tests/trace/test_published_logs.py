"""Philly, Helios, Acme and sacct as they are published become nodes, and gangs that arrive and take their time."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runs_core.cluster.trace.acme import read_acme
from runs_core.cluster.trace.helios import read_helios
from runs_core.cluster.trace.input import TraceInput
from runs_core.cluster.trace.philly import read_philly
from runs_core.cluster.trace.sacct import read_sacct
from runs_core.errors import InvalidInput
from runs_core.serve.simulate import simulate

Reader = Callable[..., TraceInput]
MACHINES = ("machineId,number of GPUs,single GPU mem", "m47,8, 24GB", "m412,8, 24GB", "m9,2, 12GB", "m1,0,0")
DAYS = ("date,vchbv,vcJkd,total", "2020-09-01,16,2,18", "2020-09-02,24,2,26", "2020-09-03,8,2,10")
SERVERS = ("sn,cpu_milli,memory_mib,gpu,model", "s0,128000,1048576,8,A100", "s1,128000,1048576,8,A100")
SINFO = (
    *("NODELIST|GRES", "n1|gpu:a100:8(S:0-1)", "n1|gpu:a100:8(S:0-1)", "n2|gpu:8,shard:16", "n3|(null)", "n4|gpu"),
    *("n5|gpu:1080:4,gpu:2g.10gb:2(IDX:0-1)", "n6|mps:100,gpu:2(S:0)"),
)
HELIOS = "job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue"
SEREN = "job_id,user,node_num,gpu_num,cpu_num,type,state,submit_time,start_time,end_time,duration,queue,gpu_time"
KALOS = (
    "job_id,user,node_num,gpu_num,cpu_num,mem_per_pod_GB,shared_mem_per_pod,type,state,submit_time,start_time,"
    "end_time,fail_time,stop_time,duration,queue,gpu_time"
)
SACCT = "JobID|JobName|Account|State|Submit|Start|End|NNodes|AllocTRES"


def attempt(begun: str | None, ended: str | None, *widths: int) -> dict[str, Any]:
    servers = [{"ip": f"m{at}", "gpus": [f"gpu{n}" for n in range(width)]} for at, width in enumerate(widths)]
    return {"start_time": begun, "end_time": ended, "detail": servers}


def philly_job(number: int, *attempts: dict[str, Any], at: str = "2017-10-07 01:11:39", **more: object) -> str:
    name = f"application_1506638472019_{number}"
    body = {"status": "Pass", "vc": "ee9e8c", "jobid": name, "attempts": list(attempts), "submitted_time": at}
    return json.dumps({**body, "user": "ce2f4c", **more})


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., TraceInput]:
    def _read(reader: Reader, nodes: Sequence[str], jobs: Sequence[str], most: int = 100) -> TraceInput:
        (tmp_path / "nodes").write_text("\n".join(nodes), encoding="utf-8")
        text = "[" + ",\n".join(jobs) + "]" if reader is read_philly else "\n".join(jobs)
        (tmp_path / "jobs").write_text(text, encoding="utf-8")
        return reader(tmp_path / "nodes", tmp_path / "jobs", max_bad_rows=most)

    return _read


Read = Callable[..., TraceInput]
DONE = attempt("2017-10-07 01:12:09", "2017-10-07 02:12:09", 8)
HELIOS_JOB = "1,uXBbc,vcJkd,16,64,2,COMPLETED,2020-06-09 18:41:01,2020-06-09 18:42:01,2020-06-09 19:42:01,3600,60"
ACME_JOB = (
    "5778432,u5907,2,16,128,Other,FAILED,2023-03-01 00:18:22+08:00,2023-03-01 00:18:54+08:00,"
    "2023-03-01 01:18:54+08:00,3600,32,57600.0"
)
SACCT_JOB = (
    "77|a, 'b' and \"c|ml|COMPLETED|2026-06-03T08:58:01|2026-06-03T08:58:17|2026-06-03T09:58:17|2|"
    "billing=64,cpu=64,gres/gpu=16,gres/gpu:a100=16,mem=1T,node=2"
)
EACH = [
    pytest.param(
        read_philly, MACHINES, [philly_job(1, attempt(*list(DONE.values())[:2], 8, 8))], "ee9e8c", id="philly"
    ),
    pytest.param(read_helios, DAYS, [HELIOS, HELIOS_JOB], "vcjkd", id="helios"),
    pytest.param(read_acme, SERVERS, [SEREN, ACME_JOB], "u5907", id="acme"),
    pytest.param(read_sacct, SINFO, [SACCT, SACCT_JOB], "ml", id="sacct"),
]


@pytest.mark.parametrize(("reader", "nodes", "jobs", "namespace"), EACH)
def test_a_job_is_a_gang_of_a_pod_a_server_that_takes_as_long_as_it_took(
    read: Read, reader: Reader, nodes: Sequence[str], jobs: Sequence[str], namespace: str
) -> None:
    (arrival,) = read(reader, nodes, jobs).arrivals
    resources = arrival.run.spec.resources
    assert (resources.gpus, resources.gpus_per_pod, resources.flavor) == (16, 8, "gpu")
    assert arrival.duration == timedelta(hours=1)
    assert arrival.run.key.namespace == namespace


FIRST = {
    read_philly: datetime(2017, 10, 7, 1, 11, 39, tzinfo=UTC),
    read_helios: datetime(2020, 6, 9, 18, 41, 1, tzinfo=UTC),
    read_acme: datetime(2023, 2, 28, 16, 18, 22, tzinfo=UTC),
    read_sacct: datetime(2026, 6, 3, 8, 58, 1, tzinfo=UTC),
}


@pytest.mark.parametrize(("reader", "nodes", "jobs", "namespace"), EACH)
def test_a_trace_starts_with_its_first_submission(
    read: Read, reader: Reader, nodes: Sequence[str], jobs: Sequence[str], namespace: str
) -> None:
    trace = read(reader, nodes, jobs)
    (arrival,) = trace.arrivals
    assert trace.start == arrival.at == arrival.run.meta.created == FIRST[reader], namespace


@pytest.mark.parametrize(("reader", "nodes", "jobs", "namespace"), EACH)
def test_what_was_read_can_be_simulated(
    read: Read, reader: Reader, nodes: Sequence[str], jobs: Sequence[str], namespace: str
) -> None:
    found = simulate(read(reader, nodes, jobs)).summary
    assert (found.runs.finished, found.gpu_hours.leased) == (1, 16.0), namespace


def test_the_fleets(read: Read) -> None:
    def gpus(reader: Reader, nodes: Sequence[str], jobs: Sequence[str]) -> list[tuple[str, int]]:
        return [(node.name, node.gpus) for node in read(reader, nodes, jobs).nodes]

    assert gpus(read_philly, MACHINES, []) == [("m412", 8), ("m47", 8), ("m9", 2)]
    assert gpus(read_helios, DAYS, [HELIOS]) == [(f"node-0000{at}", n) for at, n in enumerate((8, 8, 8, 2))]
    assert gpus(read_acme, SERVERS, [SEREN]) == [("s0", 8), ("s1", 8)]
    assert gpus(read_sacct, SINFO, [SACCT]) == [("n1", 8), ("n2", 8), ("n4", 1), ("n5", 6), ("n6", 2)]
    assert read(read_sacct, SINFO, [SACCT]).skipped_nodes == 1
    assert read(read_sacct, SINFO, [SACCT]).bad_rows == ()


# -- each by itself ---------------------------------------------------------------------------------------------------


def test_philly_takes_the_attempts_together_and_the_width_of_the_last(read: Read) -> None:
    first = attempt("2017-10-07 01:12:09", "2017-10-07 01:12:19", 4)
    lost = attempt("2017-10-07 01:20:00", None, 4)
    last = attempt("2017-10-07 01:30:00", "2017-10-07 02:30:00", 4, 2)
    (arrival,) = read(read_philly, MACHINES, [philly_job(7, first, lost, last)]).arrivals
    assert arrival.duration == timedelta(hours=1, seconds=10)
    assert (arrival.run.gpus, arrival.run.spec.resources.gpus_per_pod) == (6, 2)
    assert arrival.run.key.name == "application-1506638472019-7"


def test_philly_counts_jobs_that_never_ran_or_had_not_ended(read: Read) -> None:
    never, running = philly_job(1), philly_job(2, DONE, attempt("2017-10-07 03:00:00", "None", 8))
    trace = read(read_philly, MACHINES, [never, running, philly_job(3, DONE)])
    assert (len(trace.arrivals), trace.unfinished, trace.bad_rows) == (1, 2, ())


def test_helios_divides_what_does_not_come_out_even(read: Read) -> None:
    job = HELIOS_JOB.replace("16,64,2", "12,64,5")
    (arrival,) = read(read_helios, DAYS, [HELIOS, job]).arrivals
    assert arrival.run.spec.resources.gpus_per_pod == 4


def test_helios_counts_jobs_without_gpus_and_jobs_that_never_ran(read: Read) -> None:
    none = HELIOS_JOB.replace("1,uXBbc,vcJkd,16", "2,uXBbc,vcJkd,0")
    never = "3,u,vcJkd,8,8,1,CANCELLED,2020-06-09 18:41:01,None,2020-06-09 18:43:00,0,119"
    trace = read(read_helios, DAYS, [HELIOS, HELIOS_JOB, none, never])
    assert (len(trace.arrivals), trace.skipped, trace.unfinished, trace.bad_rows) == (1, 1, 1, ())


def test_acme_reads_both_clusters_columns_and_zones(read: Read) -> None:
    job = (
        "dlctk696s0jbvitv,uf794,8,64,960,1000,100.0,Other,FAILED,2023-05-17 11:00:58+00:00,2023-05-17 19:01:08+08:00,"
        "2023-05-17 11:01:16+00:00,2023-05-17 11:01:16+00:00,,18,10.0,1152.0"
    )
    trace = read(read_acme, SERVERS, [KALOS, job])
    assert (trace.arrivals[0].duration, trace.bad_rows) == (timedelta(seconds=8), ())


def test_sacct_passes_over_steps_and_counts_what_has_not_ended(read: Read) -> None:
    rows = [
        SACCT_JOB,
        SACCT_JOB.replace("77|", "77.batch|"),
        "78|x|ml|PENDING|2026-06-03T08:58:01|Unknown|Unknown|1|",
        "79|x|ml|RUNNING|2026-06-03T08:58:01|2026-06-03T08:58:17|Unknown|1|gres/gpu=8",
        "80|x|ml|COMPLETED|2026-06-03T08:58:01|2026-06-03T08:58:17|2026-06-03T09:58:17|1|cpu=8",
        "81_3|x|ml|COMPLETED|2026-06-03T08:59:01|2026-06-03T08:59:17|2026-06-03T09:59:17|1|gres/gpu:a100=2,gres/gpu:t4=1",
    ]
    trace = read(read_sacct, SINFO, [SACCT, *rows])
    names = [(one.run.key.name, one.run.gpus, one.at - trace.start) for one in trace.arrivals]
    assert names == [("77", 16, timedelta()), ("81-3", 3, timedelta(minutes=1))]
    assert (trace.unfinished, trace.skipped, trace.bad_rows) == (2, 1, ())


# -- bad rows ---------------------------------------------------------------------------------------------------------

BAD = [
    (read_philly, MACHINES, [philly_job(1, DONE), '{"jobid": 3}'], "jobid: got 3, want text"),
    (read_philly, MACHINES, [philly_job(1, DONE), "7"], "is no object"),
    (read_philly, MACHINES, [philly_job(1, DONE), philly_job(2, DONE, at="soon")], "submitted_time: got 'soon', want"),
    (read_philly, MACHINES, [philly_job(1, DONE), philly_job(2, attempts=7)], "attempts: is no list"),
    (read_philly, MACHINES, [philly_job(1, DONE), philly_job(2, vc="")], "vc: got '', want something that can be a"),
    (
        read_philly,
        MACHINES,
        [philly_job(1, DONE), philly_job(2, attempt("2017-10-07 03:00:00", "2017-10-07 02:00:00", 8))],
        "attempts: attempt 0 ended before it began",
    ),
    (read_helios, DAYS, [HELIOS, HELIOS_JOB.replace("16,64,2", "16,64,0")], "node_num: got 0 with gpu_num 16"),
    (read_helios, DAYS, [HELIOS, HELIOS_JOB.replace("16,64,2", "-4,64,2")], "gpu_num: got -4, want at least 0"),
    (read_helios, DAYS, [HELIOS, HELIOS_JOB.replace("18:42:01", "20:42:01")], "ended 2020-06-09 19:42:01, before it"),
    (read_helios, DAYS, [HELIOS, "1,u,vc"], "has 3 cells, and the header 12"),
    (read_acme, SERVERS, [SEREN, ACME_JOB.replace("2023-03-01 00:18:22+08:00", "")], "the moment of its submission"),
    (read_sacct, SINFO, [SACCT, SACCT_JOB.replace("gpu=16", "gpu=99999999")], "AllocTRES: got 99999999 GPUs"),
    (read_sacct, SINFO, [SACCT, SACCT_JOB.replace("gpu=16,", "gpu:8,")], "AllocTRES: got 'gres/gpu:8', want something"),
    (read_sacct, SINFO, [SACCT, SACCT_JOB.replace("a100=16", "+")], "AllocTRES: got 'gres/gpu:+', want something"),
    (read_helios, DAYS, [HELIOS, f'"{HELIOS_JOB}', HELIOS_JOB], "is no CSV: "),
    (
        read_helios,
        DAYS,
        [HELIOS, HELIOS_JOB.replace("2020-06-09 18:41", "1970-01-01 00:00")],
        "submit_time: got '1970-01-01 00:00:01', want a date and time such as 2020-06-09 18:41:01, from 2000 to 2199",
    ),
    (read_acme, SERVERS, [SEREN, ACME_JOB.replace("2023-03-01 01", "9999-03-01 01")], "end_time: got '9999-03-01 01"),
    (read_sacct, SINFO, [SACCT, SACCT_JOB.replace("|ml|", "||")], "Account: got '', want something"),
]


@pytest.mark.parametrize(("reader", "nodes", "jobs", "why"), BAD)
def test_a_bad_row_is_named_by_line_and_left_out(
    read: Read, reader: Reader, nodes: Sequence[str], jobs: Sequence[str], why: str
) -> None:
    (bad,) = read(reader, nodes, jobs).bad_rows
    assert (Path(bad.source).name, bad.line) == ("jobs", 2)
    assert bad.why.startswith(why)


def test_more_bad_rows_than_allowed_are_refused(read: Read) -> None:
    with pytest.raises(InvalidInput, match="1 bad rows, and at most 0 are left out"):
        read(read_helios, DAYS, [HELIOS, "1,u,vc"], most=0)


def test_a_log_that_is_no_json_is_refused_with_its_line(read: Read) -> None:
    with pytest.raises(InvalidInput, match=r"jobs:2: is no JSON from here on"):
        read(read_philly, MACHINES, [philly_job(1, DONE), '{"jobid": '])
    with pytest.raises(InvalidInput, match=r"jobs:1: is no JSON array"):
        read_philly(*_empty(read))
    with pytest.raises(InvalidInput, match=r"jobs:2: goes on after the list of jobs has ended"):
        read(read_philly, MACHINES, [philly_job(1, DONE), philly_job(2, DONE) + "] [" + philly_job(3, DONE)])


@pytest.mark.parametrize("reader", [read_philly, read_helios, read_acme, read_sacct])
def test_a_compressed_file_is_refused_with_what_to_do(read: Read, reader: Reader) -> None:
    nodes, jobs = _empty(read)
    jobs.write_bytes(gzip.compress(b"of whatever form"))
    nodes.write_text("\n".join({read_helios: DAYS, read_acme: SERVERS, read_sacct: SINFO}.get(reader, MACHINES)))
    with pytest.raises(InvalidInput, match=r"jobs:1: is no text in UTF-8: unpack or convert it first"):
        reader(nodes, jobs)


def test_a_log_that_is_one_array_without_an_end_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [philly_job(number, DONE) for number in range(2)]
    assert read(read_philly, MACHINES, jobs).arrivals
    monkeypatch.setattr("runs_core.cluster.trace.philly.MOST_CHARACTERS", 100)
    with pytest.raises(InvalidInput, match=r"jobs: got more than 100 characters, want the list of jobs"):
        read(read_philly, MACHINES, jobs)


def _empty(read: Read) -> tuple[Path, Path]:
    source = Path(read(read_helios, DAYS, [HELIOS, "1,u,vc"]).bad_rows[0].source)
    source.write_text("", encoding="utf-8")
    source.with_name("nodes").write_text("\n".join(MACHINES), encoding="utf-8")
    return source.with_name("nodes"), source


# -- the order of rows ------------------------------------------------------------------------------------------------


def many(reader: Reader) -> tuple[Sequence[str], str, list[str]]:
    moments = [f"2020-06-09 {10 + at % 9}:{at:02}:00" for at in range(40)]
    if reader is read_philly:
        done = [attempt(moment, "2020-06-10 00:00:00", 1 + at % 8) for at, moment in enumerate(moments)]
        return MACHINES, "", [philly_job(at % 35, done[at], at=moments[at]) for at in range(40)]
    if reader is read_sacct:
        times = [f"{moment}|{moment}|2020-06-10 00:00:00".replace(" ", "T") for moment in moments]
        return SINFO, SACCT, [f"{at % 35}|x|ml|X|{times[at]}|1|gres/gpu={1 + at % 8}" for at in range(40)]
    times = [f"{moment},{moment},2020-06-10 00:00:00" for moment in moments]
    if reader is read_helios:
        return DAYS, HELIOS, [f"{at % 35},u,vcA,{1 + at % 8},1,1,X,{times[at]},1,0" for at in range(40)]
    return SERVERS, SEREN, [f"{at % 35},u,1,{1 + at % 8},1,Other,X,{times[at]},1,0,1" for at in range(40)]


@pytest.mark.parametrize("reader", [read_philly, read_helios, read_acme, read_sacct])
def test_the_order_of_rows_does_not_matter(read: Read, reader: Reader) -> None:
    nodes, header, rows = many(reader)
    head = [header] if header else []
    straight = read(reader, nodes, [*head, *rows])
    random.Random(3).shuffle(rows)
    shuffled = read(reader, [nodes[0], *nodes[:0:-1]], [*head, *rows])
    assert len(straight.arrivals) == 35
    assert len(straight.bad_rows) == len(shuffled.bad_rows) == 5
    assert (straight.nodes, straight.arrivals) == (shuffled.nodes, shuffled.arrivals)
    assert simulate(straight).summary == simulate(shuffled).summary
