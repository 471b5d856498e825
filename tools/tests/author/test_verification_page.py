"""The page of `verify` shows every figure, and its JSON has the same keys whatever was asked for."""

import json
from dataclasses import replace

from tools.author.verification import (
    CheckNoise,
    ExtraGrade,
    MisconceptionGrade,
    MutantCounts,
    ReferenceGrade,
    SeedGrades,
    ShownFailure,
    Verification,
)
from tools.author.verification_page import render_verification

SOUND = Verification(
    assignment="a90",
    title="A toy",
    checks=2,
    problems=[],
    noise=[
        CheckNoise("test_sums.py::test_value", 1.2e-07, 4.5e-06, 2.1e06, 1),
        CheckNoise("test_sums.py::test_mean", 0.0, 0.0, None, 0),
    ],
    idle=[],
    reference=ReferenceGrade(100.0, 2.5, 357),
    stubs=0.0,
    alternates={"sums.weighted: product_then_sum": 100.0},
    misconceptions=[MisconceptionGrade("sums.weighted", "sign_turned", 40.0, ["test_sums.py::test_value"], [], 12.5)],
)
FULL = replace(
    SOUND,
    problems=["only 50.0% of the mutants die"],
    idle=["test_sums.py::test_mean"],
    misconceptions=[*SOUND.misconceptions, MisconceptionGrade("sums.mean", "harmless", 100.0, [], [], 0)],
    mutants=MutantCounts(9, 3, ["sums.py:1 Op: a → b   because it is the same"], 1, 0.5, ["sums.py:2 Op: c → d"]),
    seeds=SeedGrades(5, ["seed 1"]),
    extra=[ExtraGrade("alternate halved", 60.0, (100.0, 100.0), [ShownFailure("test_sums.py::test_mean", "out is off", None)])],
)


def test_the_page_of_a_sound_grader():
    assert render_verification(SOUND) == (
        "# a90: A toy\n\n"
        "2 checks. Reference 100 in 2.5 s, 357 MB (PSS of the whole tree, verify itself included). Stubs 0.\n\n"
        "## Alternates\n"
        "   100  sums.weighted: product_then_sum\n\n"
        "## Misconceptions: 1, 1 killed in their module, 0 named\n"
        " score  collateral  named by / killed by\n"
        "    40        12.5  0/1  sums.weighted: sign_turned  ← test_sums.py::test_value\n\n"
        "## Noise and tolerance\n"
        "   noise  tolerance  nearest mistake (tolerances)  check\n"
        " 1.2e-07   4.5e-06     2.1e+06 of  1  test_sums.py::test_value\n"
        " 0.0e+00   0.0e+00           - of  0  test_sums.py::test_mean\n\n"
        "No problems."
    )


def test_the_page_of_everything_that_can_be_asked_for():
    page = render_verification(FULL)
    assert page.startswith(render_verification(SOUND).partition("## Misconceptions")[0])
    assert "## Misconceptions: 2, 1 killed in their module, 0 named" in page
    assert "   100           0  0/0  sums.mean: harmless  ← NOT KILLED" in page
    assert page.endswith(
        "\n\nChecks that no misconception fails: test_sums.py::test_mean\n\n"
        "## Mutants: 1 of 2 killed (50.0%); 9 possible, 1 equivalent as reviewed\n"
        "  survives: sums.py:2 Op: c → d\n"
        "  equivalent: sums.py:1 Op: a → b   because it is the same\n\n"
        "## Seeds: 5 grades, 1 flaky\n\n"
        "extra alternate halved: 60\n   test_sums.py::test_mean: out is off\n\n"
        "## Problems\n- only 50.0% of the mutants die"
    )


def test_the_json_leaves_out_what_was_not_asked_for():
    always = [
        *("assignment", "title", "checks", "problems", "noise", "idle", "reference", "stubs", "alternates", "misconceptions"),
    ]
    assert list(SOUND.as_json()) == always
    figures = json.loads(json.dumps(FULL.as_json()))
    assert list(figures) == [*always, "mutants", "seeds", "extra"]
    assert list(figures["misconceptions"][0]) == ["target", "name", "score", "killed_by", "named_by", "collateral"]
    assert figures["extra"] == [
        {
            "case": "alternate halved",
            "score": 60.0,
            "expected": [100.0, 100.0],
            "failed": [{"check": "test_sums.py::test_mean", "shown": "out is off", "misconception": None}],
        }
    ]
