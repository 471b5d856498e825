"""Every benchmark can be called by its name, and a figure says whether its target is met."""

import inspect

import pytest

from autograder.errors import BadInput
from tools.bench.bench import benchmarks, run
from tools.bench.timing import in_turns, print_figure, ratios


def test_every_benchmark_is_a_function_that_says_what_it_measures():
    for name, benchmark in benchmarks().items():
        assert inspect.getdoc(benchmark) and not inspect.signature(benchmark).parameters, name


def test_an_unknown_benchmark_is_refused_with_the_names_of_all():
    with pytest.raises(BadInput, match=r"there is no benchmark 'speed'; there are grade, only, .*, update"):
        run("speed")


@pytest.mark.slow
def test_a_benchmark_runs_by_its_name(capsys):
    run("help")
    assert "python -m autograder --help, wall   target at most 0.3 s:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        ({}, ""),
        ({"at_most": 2.0}, "   target at most 2 u: met"),
        ({"at_most": 1.9}, "   target at most 1.9 u: NOT MET"),
        ({"at_least": 2.0}, "   target at least 2 u: met"),
        ({"at_least": 2.1}, "   target at least 2.1 u: NOT MET"),
    ],
)
def test_a_figure_is_the_median_and_its_verdict_that_of_the_median(capsys, target, verdict):
    print_figure("work", [5.0, 1.0, 2.0], "u", **target)
    assert capsys.readouterr().out == f"   2.000 u   (1.000 to 5.000)  work{verdict}\n"


def test_actions_take_turns_and_the_first_round_does_not_count():
    calls: list[str] = []
    rounds = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=2)
    assert calls == ["a", "b"] * 3 and [sorted(times) for times in rounds] == [["a", "b"]] * 2
    assert ratios([{"a": 3.0, "b": 2.0}, {"a": 1.0, "b": 4.0}], "a", "b") == [1.5, 0.25]
