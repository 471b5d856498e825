"""Mutants compile, differ, stay inside graded code, and are the same for the same seed."""

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.author.mutants import Mutant, graded_lines, mutants

SOURCE = '''"""Doc with 1 + 1."""
import math

import torch
from torch import nn

BASE = 10 * 2


def turn(x, n: int = 3):
    """Turned by 3 + 4."""
    if n - 1 < 0:
        raise ValueError(f"n must be above {0 + 1}")
    # BEGIN SOLUTION
    é = torch.full((2,), 5.0)  # é: columns count bytes in one place and characters in another
    y = é * math.sqrt(n + 7)
    if n > 100:
        raise ValueError(
            f"got {n + 11}"
        )
    width: int | None = None
    nn.init.ones_(y)
    self = {}
    self.update(a=y)
    def inner(a: int | float = 13) -> int | None: return a.abs().sum()
    return max(*y), x.flatten(-2)
    # END SOLUTION


def later(x):
    return x + 1
'''
ALL = mutants(SOURCE, None, seed=0, limit=1000, per_site=1000)


def outside(text: str) -> str:
    lines = text.splitlines()
    return "\n".join(lines[: lines.index("    # BEGIN SOLUTION")] + lines[lines.index("    # END SOLUTION") :])


def test_only_solutions_are_changed_and_every_mutant_is_another_program():
    trees = {ast.dump(ast.parse(m.source)) for m in ALL} | {ast.dump(ast.parse(SOURCE))}
    assert len(trees) == len(ALL) + 1
    for mutant in ALL:
        compile(mutant.source, "mutant", "exec")
        assert outside(mutant.source) == outside(SOURCE)


def test_annotations_and_what_is_raised_stay():
    assert all('f"got {n + 11}"' in m.source and "raise ValueError(\n" in m.source for m in ALL)
    assert all("width: int | None = " in m.source and "-> int | None" in m.source for m in ALL)
    assert any("int | float = 14" in m.source for m in ALL), "but a default value may change"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("é = torch.full((2,), 5.0)", "é = (2,)"),
        ("math.sqrt(n + 7)", "n + 7"),
        ("nn.init.ones_(y)", "y"),
        ("a.abs().sum()", "a.sum()"),
        ("a.abs().sum()", "a.abs()"),
        ("x.flatten(-2)", "x"),
        ("n + 7", "n - 7"),
        ("n > 100", "not n > 100"),
    ],
)
def test_a_call_gives_way_to_its_first_argument_or_its_object(before, after):
    line = next(number for number, line in enumerate(SOURCE.splitlines(), 1) if before in line)
    assert SOURCE.replace(before, after) in [m.source for m in ALL if m.line == line]


def test_a_call_without_a_first_argument_is_left_alone():
    assert not any("*y" in m.before and "max" not in m.after for m in ALL)


def test_a_mutant_names_its_line_before_and_after():
    (mutant,) = (m for m in ALL if m.operator == "CallDropped" and "sqrt" in m.before)
    assert (mutant.before, mutant.after) == ("y = é * math.sqrt(n + 7)", "y = é * n + 7")
    assert SOURCE.splitlines()[mutant.line - 1].strip() == mutant.before


def test_lines_may_be_chosen_instead():
    line = SOURCE.splitlines().index("BASE = 10 * 2") + 1
    chosen = mutants(SOURCE, [(line, line)], seed=0, limit=1000)
    assert chosen
    assert {m.line for m in chosen} == {line}


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.integers(0, 30), per_site=st.integers(1, 3))
def test_a_sample_is_bounded_in_order_and_the_same_for_a_seed(seed, limit, per_site):
    sample = mutants(SOURCE, None, seed, limit, per_site)
    assert sample == mutants(SOURCE, None, seed, limit, per_site)
    assert len(sample) <= limit
    assert [m.line for m in sample] == sorted(m.line for m in sample)
    assert {m.source for m in sample} <= {m.source for m in ALL}


def test_two_at_a_site_are_fewer_than_all():
    per_line = [m for m in mutants(SOURCE, None, 0, 1000, per_site=2) if m.before == "return max(*y), x.flatten(-2)"]
    assert 2 <= len(per_line) < len([m for m in ALL if m.before == per_line[0].before])


def test_a_file_without_solutions_has_no_mutants():
    assert graded_lines("x = 1 + 1\n") == set()
    assert mutants("x = 1 + 1\n", None, 0, 10) == []


@pytest.mark.slow
def test_the_reference_can_be_mutated():
    for path in Path(__file__).parents[3].glob("reference/a*/attention.py"):
        assert all(isinstance(m, Mutant) for m in mutants(path.read_text(encoding="utf-8"), None, 0, 5))
