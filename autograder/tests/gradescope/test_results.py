"""results.json from a report, the policies of an assignment, and metadata that nobody can rely on."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
import torch
from gradescope_utils.autograder_utils.decorators import weight
from hypothesis import given
from hypothesis import strategies as st

import autograder
from autograder.assignment import Assignment
from autograder.check.check import Check
from autograder.check.decorators import ranks
from autograder.errors import BadInput
from autograder.gradescope.metadata import Metadata, Previous, read_metadata, understand
from autograder.gradescope.policy import Late, Rate, Settings
from autograder.gradescope.results import (
    make_refused_results,
    make_results,
    plain_text,
    results_to_json,
    write_results,
)
from autograder.grading import _ranked
from autograder.judge.judge import matches_reference
from autograder.observation.serialization import deserialize, serialize
from autograder.sandbox.outcome import Ending, Outcome

SCHEMA = json.loads((Path(autograder.__file__).parent / "gradescope" / "schema" / "results.schema.json").read_text())
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def check(id: str, status: str, points: float, full: float, **more) -> dict:
    return {
        "id": id,
        "number": "1.1",
        "part": "rope.rotate",
        "title": "Each token turns.",
        "status": status,
        "points": points,
        "max_points": full,
        "reason": "value" if status == "failed" else "",
        "message": "",
        "hint": "",
        "misconception": None,
        "given": [],
        "seconds": 0.1,
        "output": "",
        "visibility": "visible",
        "tags": [],
        "rank": None,
    } | more


def report(*checks: dict, **more) -> dict:
    return {
        "score": round(sum(c["points"] for c in checks), 2),
        "max_score": round(sum(c["max_points"] for c in checks), 2),
        "isolation_level": 3,
        "environment": {"torch": "2"},
        "manifest": [c["id"] for c in checks],
        "manifest_sha256": "0" * 64,
        "notes": [],
        "seconds": 1.5,
        "checks": list(checks),
    } | more


def valid(value: dict) -> dict:
    jsonschema.validate(json.loads(results_to_json(value)), SCHEMA)
    assert [t["extra_data"]["id"] for t in value["tests"]] == value["extra_data"]["manifest"]
    return value


ALL = (
    check("a::passes", "passed", 40, 40, tags=["core"]),
    check("a::half", "partial", 5, 10, reason="pace", message="4.00 times the baseline"),
    check(
        "a::fails", "failed", 0, 20, message="out[0] differs", hint="Looks like: x.", output="tried \x1b[2J\x00", given=["rope.a"]
    ),
    check("a::waits", "not_attempted", 0, 10, reason="raised", message="because rope.a does not pass yet"),
    check("a::cuda", "not_graded_here", 0, 0, message="for want of a CUDA device"),
    check("a::fault", "grader_fault", 10, 10, message="golden leaf missing"),
    check(
        "hidden/a::secret",
        "failed",
        0,
        10,
        title="The secret edge.",
        message="a hidden check: secret",
        misconception="secret_name",
    ),
)


def test_each_status_has_its_row():
    value = valid(make_results(report(*ALL), Settings(), Metadata()))
    rows = {t["extra_data"]["id"]: t for t in value["tests"]}
    assert {i: t["status"] for i, t in rows.items() if t["status"] == "passed"} == {"a::passes": "passed", "a::fault": "passed"}
    assert (value["score"], value["execution_time"]) == (55, 1.5)
    assert (rows["a::half"]["score"], rows["a::half"]["max_score"]) == (5, 10)
    assert rows["a::passes"]["tags"] == ["core"] and rows["a::fault"]["tags"] == ["regrade"]
    assert value["extra_data"]["regrade"] and "A fault of the grader" in rows["a::fault"]["output"]
    assert "Not attempted, because rope.a" in rows["a::waits"]["output"]
    assert "Not graded here, for want of a CUDA device" in rows["a::cuda"]["output"]
    failed = rows["a::fails"]["output"]
    assert failed.splitlines()[:2] == ["out[0] differs", "Looks like: x."]
    assert "given rope.a in place of yours" in failed and failed.endswith("tried �[2J�")
    assert "55 of 90 points; 1 of 5 checks pass." in value["output"]


def test_nothing_of_a_hidden_check_is_where_a_student_looks():
    value = valid(make_results(report(*ALL), Settings(), Metadata()))
    shown = json.dumps([value["output"], [t for t in value["tests"] if t["visibility"] == "visible"]])
    assert "secret" not in shown
    secret = value["tests"][-1]
    assert secret["visibility"] == "after_published" and "secret_name" not in json.dumps(secret)
    for visibility in ("hidden", "visible"):
        value = valid(make_results(report(*ALL), Settings(hidden_visibility=visibility), Metadata()))
        assert value["tests"][-1]["visibility"] == visibility
    assert "55 of 100 points" in value["output"]  # they are shown, so the total is
    own = check("hidden/a::b", "passed", 1, 1, visibility="after_due_date")
    assert make_results(report(own), Settings(), Metadata())["tests"][0]["visibility"] == "after_due_date"


def test_the_summary_does_not_change_with_a_hidden_verdict():
    for late in (timedelta(0), timedelta(hours=30)):
        metadata = Metadata(NOON + late, NOON)
        settings = Settings(late=Late(percent_per_day=10))
        passed = (*ALL[:-1], ALL[-1] | {"status": "passed", "points": 10})
        assert (
            make_results(report(*ALL), settings, metadata)["output"]
            == make_results(report(*passed), settings, metadata)["output"]
        )


def test_a_run_that_was_cut_short_says_what_it_did_not_reach():
    rows = (ALL[0], check("a::later", "not_attempted", 0, 60, message="interrupted before its turn"))
    value = valid(make_results(report(*rows), Settings(), Metadata(), "The run was ended after 8.0 minutes."))
    assert "1 of 2 checks were not reached. That is no verdict on them." in value["output"]
    assert value["tests"][1]["output"] == "Not reached, so there is no verdict. The run was ended after 8.0 minutes."


def test_leaderboard_rows_come_from_the_report():
    rank = {"name": "loss", "value": 1.25, "order": "asc"}
    rows = check("a::x", "passed", 1, 1, rank=rank), check("a::y", "passed", 1, 1, rank=rank | {"name": "pace"}), ALL[2]
    assert valid(make_results(report(*rows), Settings(), Metadata()))["leaderboard"] == [
        {"name": "loss", "value": 1.25, "order": "asc"},
        {"name": "pace", "value": 1.25, "order": "asc"},
    ]
    twice = check("a::x", "passed", 1, 1, rank=rank), check("a::y", "passed", 1, 1, rank=rank, number="1.2")
    names = [row["name"] for row in make_results(report(*twice), Settings(), Metadata())["leaderboard"]]
    assert names == ["loss (1.1)", "loss (1.2)"]


@pytest.mark.parametrize(
    ("value", "ranked"),
    [(0.5, 0.5), (torch.tensor([2.0]), 2.0), (3, 3.0), (torch.ones(2), None), (float("nan"), None), ("9", None), (None, None)],
)
def test_a_ranked_leaf_is_one_finite_number(value, ranked):
    @ranks("loss")
    @weight(1)
    @matches_reference
    def test_it(solution, draw):
        """It."""

    outcome = Outcome(Ending.OBSERVED, deserialize(serialize({"loss": value})))
    assert _ranked(Check.of(test_it, Path("test_x.py")), outcome.evidence()) == ranked
    assert _ranked(Check.of(test_it, Path("test_x.py"), hidden=True), outcome.evidence()) is None


@given(st.text(st.characters(), max_size=300), st.integers(10, 200))
def test_text_is_plain_and_short(value, most):
    plain = plain_text(value, most)
    assert len(plain) <= most and all(c.isprintable() or c in "\n\t" for c in plain)
    jsonschema.validate(plain, SCHEMA["$defs"]["text"])
    assert all(c.isprintable() for c in plain_text(value, most, one_line=True))


def test_a_flood_is_cut_where_gradescope_would_cut_it():
    value = valid(make_results(report(ALL[2] | {"message": "x" * 10**6}, notes=["y" * 10**6]), Settings(), Metadata()))
    assert len(value["output"]) == len(value["tests"][0]["output"]) == 100_000
    assert value["output"].endswith("(cut)")


def test_a_number_that_json_does_not_have_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_results(tmp_path / "r.json", {"score": float("nan")})
    write_results(tmp_path / "r.json", {"score": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.parametrize(
    ("hours", "percent"), [(-5, 0), (0.2, 0), (0.25, 0), (0.26, 10), (24.25, 10), (24.26, 20), (100, 50), (9999, 50)]
)
def test_each_started_day_after_the_grace_costs(hours, percent):
    late = Late(grace_minutes=15, percent_per_day=10, max_percent=50)
    metadata = Metadata(NOON + timedelta(hours=hours), NOON)
    assert late.percent(metadata.late_by) == percent
    value = valid(make_results(report(*ALL[:2]), Settings(late=late), metadata))
    assert value["score"] == round(45 * (1 - percent / 100), 2)
    assert ("% of the points are lost" in value["output"]) == bool(percent)


def dates(*own, due="2026-03-02T12:00:00.000000-08:00", **more) -> dict:
    users = [{"id": 1, "assignment": {"due_date": text}} if text else {"id": 2} for text in own]
    return {"created_at": "2026-03-03T12:00:00-08:00", "assignment": {"due_date": due}, "users": users} | more


def test_the_latest_extension_of_the_group_counts():
    assert understand(dates(None)).late_by == timedelta(days=1)
    assert understand(dates(None, "2026-03-03T11:00:00-08:00", "2026-03-02T18:00:00-08:00")).late_by == timedelta(hours=1)
    assert understand(dates("2026-03-09T00:00:00-08:00")).late_by == timedelta(0)
    assert understand(dates("next week")).late_by == timedelta(days=1)  # no date, so the assignment's
    assert understand(dates(due=None)).late_by == timedelta(0)
    assert understand(dates(created_at="2026-03-02 20:30:00.644186000 Z")).late_by == timedelta(minutes=30, microseconds=644186)


KEYS = ["created_at", "assignment", "users", "due_date", "previous_submissions", "score", "results", "submission_time"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("2026-03-03T12:00:00Z"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_no_metadata_of_any_shape_brings_a_run_down(value):
    metadata = understand(value)
    assert metadata.late_by >= timedelta(0)
    settings = Settings(late=Late(percent_per_day=10), rate=Rate(1, 1))
    free = settings.rate.next_free(metadata)
    valid(
        make_results(report(*ALL), settings, metadata)
        if free is None
        else make_refused_results(report(*ALL), settings, metadata, free)
    )


@pytest.mark.parametrize("data", [None, b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"created_at": 1e999, "users": [1]}'])
def test_metadata_that_cannot_be_read_is_a_problem_and_no_more(tmp_path, data):
    if data is not None:
        (tmp_path / "m.json").write_bytes(data)
    metadata = read_metadata(tmp_path / "m.json")
    assert metadata.created_at is None and metadata.late_by == timedelta(0) and metadata.problems


def history(*hours_ago: float, **more) -> list[dict]:
    now = datetime.fromisoformat("2026-03-03T12:00:00-08:00")
    return [{"submission_time": (now - timedelta(hours=h)).isoformat(), "score": str(90 - h), **more} for h in hours_ago]


def test_the_rate_limit_counts_what_was_graded_before():
    rate, table = Rate(submissions=2, hours=24), dates(None)
    free = lambda previous: rate.next_free(understand(table | {"previous_submissions": previous}))
    assert free(history(30, 3)) is None
    assert free(history(3, 1)) == datetime(2026, 3, 4, 17, tzinfo=UTC)  # a day after the older of the two
    assert free(history(1, 3)) == free(history(3, 1)) and free(history(-1, 3)) is None  # a regrade: one came later
    assert free(history(3, 2, autograder_error=True)) is None
    assert Rate(0, 24).next_free(understand(table | {"previous_submissions": history(3, 2, 1)})) is None
    assert Metadata(None, previous=(Previous(NOON, 1),) * 5) and rate.next_free(Metadata(None)) is None


def test_a_refused_submission_keeps_the_score_and_does_not_count_itself():
    settings = Settings(rate=Rate(submissions=2, hours=24))
    metadata = understand(dates(None) | {"previous_submissions": history(23, 3)})
    rows = [c | {"status": "not_attempted", "points": 0, "reason": "", "message": "not run"} for c in ALL]
    value = valid(make_refused_results(report(*rows), settings, metadata, settings.rate.next_free(metadata)))
    assert value["score"] == 87  # the score of three hours ago
    assert "2 submissions were graded in the last 24 hours" in value["output"] and "is kept" in value["output"]
    assert value["extra_data"]["refused"] == ["2026-03-03T20:00:00+00:00"]
    later = dates(None) | {"created_at": "2026-03-03T13:30:00-08:00"}  # the first of the two is a day old by then
    previous = [*history(23, 3), history(0)[0] | {"score": 87, "results": {"extra_data": value["extra_data"]}}]
    metadata = understand(later | {"previous_submissions": previous})
    assert settings.rate.next_free(metadata) is None
    assert make_results(report(*ALL), settings, metadata)["extra_data"]["refused"] == ["2026-03-03T20:00:00+00:00"]


def settings_of(**table) -> Settings:
    return Settings.of(Assignment("a03", "a03_x", Path(), "", (), (), 1, 1, (), (), gradescope=table))


def test_settings_come_from_the_assignment_or_are_refused():
    assert settings_of() == Settings()
    table = {"timeout_minutes": 20, "container": "4 CPU, 6 GB", "late": {"percent_per_day": 10}, "rate": {"submissions": 3}}
    settings = settings_of(**table)
    assert settings.late == Late(percent_per_day=10) and settings.rate == Rate(3) and settings.timeout_minutes == 20
    assert settings.deadline < settings.watchdog < 20 * 60
    for wrong, words in [
        ({"timeout": 5}, "knows timeout_minutes, container"),
        ({"timeout_minutes": "10"}, "timeout_minutes is of type"),
        ({"timeout_minutes": 60}, "at most 40"),
        ({"timeout_minutes": True}, "timeout_minutes is of type"),
        ({"container": "huge"}, "container is one of 0.5 CPU"),
        ({"hidden_visibility": "secret"}, "hidden_visibility is one of"),
        ({"late": {"percent": 10}}, r"\[gradescope.late\] knows grace_minutes"),
        ({"late": 10}, r"gradescope.late\] knows"),
        ({"rate": {"submissions": -1}}, "not negative"),
        ({"late": {"max_percent": 120}}, "max_percent is at most 100"),
    ]:
        with pytest.raises(BadInput, match=words):
            settings_of(**wrong)
