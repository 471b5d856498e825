"""What judges accept, what they refuse, and what they say."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from autograder.judge.evidence import Evidence
from autograder.judge.judge import matches_reference
from autograder.judge.memory import fits_in_memory
from autograder.judge.pace import KeepsPace, keeps_pace
from autograder.judge.properties import at_most, frequencies, gaussian, kept_share, same
from autograder.judge.property import satisfies
from autograder.judge.reason import Reason
from autograder.observation.fingerprint import fingerprint, matches_fingerprint
from autograder.observation.golden import Expected, Fingerprint, Golden
from autograder.observation.leaf import is_float
from autograder.observation.serialization import deserialize, serialize
from autograder.observation.tolerance import tolerance


def golden_of(**values) -> Golden:
    observation = deserialize(serialize(values))
    return Golden(
        {path: Expected(leaf, 0.0, tolerance(1e-7, leaf) if is_float(leaf) else 0.0) for path, leaf in observation.items()}
    )


def judge(golden: Golden, **values):
    return matches_reference.compare(Evidence(deserialize(serialize(values))), golden)


floats = st.floats(-1e6, 1e6, width=32)


@given(st.lists(floats, min_size=1, max_size=8))
def test_the_right_answer_is_right(values):
    assert judge(golden_of(out=torch.tensor(values)), out=torch.tensor(values)) is None


@given(st.lists(floats, min_size=1, max_size=8), st.integers(0, 7), st.sampled_from([float("nan"), float("inf"), float("-inf")]))
def test_what_is_not_finite_is_never_right(values, place, odd):
    wrong = torch.tensor(values)
    wrong[place % len(values)] = odd
    departure = judge(golden_of(out=torch.tensor(values)), out=wrong)
    assert departure.reason == "nonfinite" and ("NaN" in departure.text or "infinite" in departure.text)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("all_of_it", [True, False])
def test_chance_gives_no_number_that_is_not_finite(odd, all_of_it):
    """A leaf that is random by nature has no golden value, and a bell of NaN satisfies no bound and breaks none."""
    value = torch.from_numpy(np.random.RandomState(0).standard_normal(20_000).astype(np.float32))
    golden = Golden({"start": Expected(deserialize(serialize({"start": value}))["start"], random=True)})
    judge = satisfies(gaussian("start", 1.0), random=("start",))
    assert judge.compare(Evidence(deserialize(serialize({"start": value}))), golden) is None, "the control"
    value[slice(None) if all_of_it else slice(77, 78)] = odd
    mismatch = judge.compare(Evidence(deserialize(serialize({"start": value}))), golden)
    assert mismatch and mismatch.reason in ("nonfinite", "property") and "start" in mismatch.text


@given(st.lists(floats, min_size=1, max_size=8), st.integers(0, 7), st.floats(1e-3, 1e3))
def test_a_value_beyond_the_tolerance_is_wrong(values, place, offset):
    golden = golden_of(out=torch.tensor(values))
    wrong = torch.tensor(values)
    wrong[place % len(values)] += offset
    assume(
        abs(float(wrong[place % len(values)] - torch.tensor(values)[place % len(values)])) > 1.01 * golden.leaves["out"].tolerance
    )
    departure = judge(golden, out=wrong)
    assert departure.reason == "value" and f"out[{place % len(values)}]" in departure.text


@pytest.mark.parametrize(("observation", "reason", "words"), [
    ({"out": torch.ones(1)}, "shape", "shape (1,), expected (2, 3)"),
    ({"out": torch.ones(0)}, "shape", "shape (0,), expected (2, 3)"),
    ({"out": torch.tensor(1.0)}, "shape", "shape (), expected (2, 3)"),
    ({"out": torch.ones(2, 3, dtype=torch.float64)}, "dtype", "out is float64, expected float32"),
    ({"out": [1.0]}, "missing", "out is missing; there are out[0]"),
    ({"out": 1.0}, "type", "out is a float, expected a float32 tensor of shape (2, 3)"),
    ({"out": None}, "none", "out is None, expected a float32 tensor"),
    ({"out": torch.ones(2, 3), "more": 1}, "unexpected", "more was not expected"),
    ({}, "missing", "nothing was returned"),
])  # fmt: skip
def test_structure_comes_before_values(observation, reason, words):
    departure = judge(golden_of(out=torch.ones(2, 3)), **observation)
    assert departure.reason == reason and words in departure.text


def test_a_missing_gradient_has_its_own_words():
    golden = golden_of(**{"grad": {"weight": torch.ones(2)}})
    assert "no gradient reaches weight" in judge(golden, grad={"weight": None}).text


def test_the_region_of_a_mismatch_is_named():
    right = torch.zeros(2, 3, 5, 8)
    wrong = right.clone()
    wrong[:, :, 3:] = 1.0
    text = judge(golden_of(out=right + 1), out=wrong + 1).text
    assert text.startswith("out[0, 0, 3, 0] is the first value that differs: got 2, expected 1")
    assert "96 of 240 values are off, all at 3 and 4 of axis 2 (of 5)" in text


def test_integers_and_words_are_exact():
    golden = golden_of(n=3, word="ValueError", flag=True, index=torch.tensor([1, 2]))
    assert judge(golden, n=3, word="ValueError", flag=True, index=torch.tensor([1, 2])) is None
    assert (
        "n is the first value that differs: got 4, expected 3"
        in judge(golden, n=4, word="ValueError", flag=True, index=torch.tensor([1, 2])).text
    )
    assert judge(golden, n=3, word="ValueError", flag=1, index=torch.tensor([1, 2])).reason == "type"
    assert judge(golden, n=3, word="accepted", flag=True, index=torch.tensor([1, 2])).leaf == "word"
    assert judge(golden, n=3, word="ValueError", flag=True, index=torch.tensor([1, 3])).leaf == "index"


def test_a_property_is_judged_beside_parity():
    judge_ = satisfies(same("a", "b"))
    golden = golden_of(a=torch.ones(2), b=torch.ones(2))
    constant = deserialize(serialize({"a": torch.zeros(2), "b": torch.zeros(2)}))  # the laziest answer has the property
    assert judge_.compare(Evidence(constant), golden).reason == "value"
    apart = deserialize(serialize({"a": torch.ones(2), "b": 2 * torch.ones(2)}))
    assert "should be equal; they differ by up to 1" in judge_.compare(Evidence(apart), golden).text


def test_a_number_up_to_the_bound_is_small_enough():
    observation = lambda count: deserialize(serialize({"calls": count}))
    assert at_most("calls", 3)(observation(3)) is None
    assert at_most("calls", 3)(observation(4)) == "calls: 4; 3 are enough"


def test_statistics_have_the_stated_power():
    stream = np.random.RandomState(0)
    right = deserialize(serialize({"x": torch.from_numpy(stream.standard_normal(20_000) * 0.02)}))
    assert gaussian("x", 0.02)(right) is None
    assert "standard deviation" in gaussian("x", 0.021)(right)
    assert "mean" in gaussian("x", 0.02)(
        deserialize(serialize({"x": torch.from_numpy(stream.standard_normal(20_000) * 0.02 + 0.002)}))
    )


@given(st.floats(0.02, 0.98), st.integers(0, 2**32 - 1))
def test_dropout_of_any_rate_keeps_its_share(p, seed):
    """Half of the rates are above one half: there more values are zero than are kept."""
    drawn = np.random.RandomState(seed).random_sample(20_000) > p
    observe = lambda kept, scale: deserialize(serialize({"x": torch.from_numpy(kept * scale)}))
    scale = 1 / (1 - p)
    assert kept_share("x", p)(observe(drawn, scale)) is None  # a false alarm in a million draws
    assert "should be 0 or" in kept_share("x", p)(observe(drawn, 1.01 * scale + 0.01))
    other = p + 0.1 if p < 0.5 else p - 0.1  # ten points off: five deviations of the share are 0.018 at most
    assert "survives" in kept_share("x", other)(observe(drawn, 1 / (1 - other)))


def test_a_false_alarm_is_as_rare_as_stated():
    """At a rate of 1 in 100, where it can be counted: 2,000 draws give 20 ± 4·√20 alarms."""
    stream = np.random.RandomState(1)
    alarms = sum(
        gaussian("x", 1.0, false_alarms=0.01)(deserialize(serialize({"x": torch.from_numpy(stream.standard_normal(4000))})))
        is not None
        for _ in range(2000)
    )
    assert 2 <= alarms <= 38


def test_frequencies_are_those_of_the_chances():
    """The bound is on the safe side: at a rate of 1 in 10, at most that share of 2,000 fair samples is refused, plus 4 sd."""
    stream, chances = np.random.RandomState(2), [0.5, 0.3, 0.15, 0.05, 0.0]
    observation = lambda counts: deserialize(serialize({"x": torch.tensor(counts)}))
    alarms = sum(frequencies("x", chances, 0.1)(observation(stream.multinomial(500, chances))) is not None for _ in range(2000))
    assert 0 < alarms <= 200 + 4 * (2000 * 0.1 * 0.9) ** 0.5
    judge_ = frequencies("x", chances)
    assert judge_(observation([1000, 600, 300, 100, 0])) is None
    assert "x[0] came in 60.00 % of 2000 draws; its chance is 50.00 %" in judge_(observation([1200, 500, 200, 100, 0]))
    assert "x[4]" in judge_(observation([1000, 600, 300, 99, 1]))
    assert "counts nothing" in judge_(observation([0, 0, 0, 0, 0]))


def timed(actual: list[float], baseline: list[float], value: float = 1.0) -> Evidence:
    """Evidence of a timed check on a fake clock."""
    return Evidence({"x": value}, times=tuple(zip(actual, baseline, strict=True)))


def test_pace_is_the_median_of_pairs_on_a_fake_clock():
    judge_: KeepsPace = keeps_pace(full=1.5, none=3.0, repeats=5)
    golden = Golden({"x": Expected(1.0)})
    slow_spell = [1.0, 1.0, 9.0, 9.0, 1.0]  # the machine slows down for both
    assert judge_.ratio(timed([2 * t for t in slow_spell], slow_spell)) == 2.0
    assert judge_.ratio(timed([1.2, 1.2, 90.0, 1.2, 1.2], [1.0] * 5)) == 1.2  # one hiccup decides nothing
    assert [judge_.share(r) for r in (0.5, 1.5, 2.25, 3.0, 7.0)] == [1, 1, 0.5, 0, 0]
    right = timed([1.5] * 5, [1.0] * 5)
    assert judge_.compare(right, golden) is None
    assert judge_.remark(right, golden) == "1.50 times the baseline" and judge_.number("pace", right) == 1.5
    slow = judge_.compare(timed([2.25] * 5, [1.0] * 5), golden)
    assert (slow.reason, slow.share) == (Reason.PACE, 0.5)
    assert "2.25 times the baseline's CPU time; full points up to 1.50" in slow.text
    with pytest.raises(ValueError, match="0 < full < none"):
        keeps_pace(full=3, none=2)


def test_a_wrong_output_earns_nothing_however_fast_it_is():
    judge_, golden = keeps_pace(full=1.5, none=3.0, repeats=5), Golden({"x": Expected(1.0)})
    wrong = judge_.compare(timed([0.1] * 5, [1.0] * 5, value=2.0), golden)
    assert (wrong.reason, wrong.share) == (Reason.VALUE, 0.0)


def test_growth_is_what_the_larger_size_takes_beyond_the_smaller():
    judge_, golden = fits_in_memory(growth=10 << 20), Golden({"x": Expected(1.0)})
    measured = lambda *peaks: Evidence({"x": 1.0}, peaks=peaks)
    assert judge_.compare(measured(900 << 20, 200 << 20, 210 << 20), golden) is None  # what the set-up took does not count
    assert "grew by 11.0 MiB" in judge_.compare(measured(0, 200 << 20, 211 << 20), golden).text


def test_an_input_that_was_overwritten_is_told_after_everything_else():
    golden = Golden({"x": Expected(1.0)}, inputs=["a", "b"])
    assert matches_reference.compare(Evidence({"x": 1.0}, inputs=("a", "b")), golden) is None
    assert matches_reference.compare(Evidence({"x": 1.0}, inputs=("a", "c")), golden).reason is Reason.INPUT
    assert matches_reference.compare(Evidence({"x": 2.0}, inputs=("a", "c")), golden).reason is Reason.VALUE


def test_a_fingerprint_is_recognised_through_noise_and_not_mistaken():
    values = torch.from_numpy(np.random.RandomState(2).standard_normal((4, 6)).astype(np.float32))
    golden = golden_of(out=values, n=1)
    stored = Fingerprint("negated", fingerprint(deserialize(serialize({"out": -values, "n": 1})), golden), 100.0)
    noisy = deserialize(serialize({"out": -values * (1 + 1e-6), "n": 1}))
    assert matches_fingerprint(fingerprint(noisy, golden), stored.leaves, golden)
    for other in (values, -1.01 * values, -values.T.contiguous(), torch.full_like(values, float("nan")), -values.double()):
        assert not matches_fingerprint(fingerprint(deserialize(serialize({"out": other, "n": 1})), golden), stored.leaves, golden)
    assert not matches_fingerprint(fingerprint(deserialize(serialize({"out": -values, "n": 2})), golden), stored.leaves, golden)
