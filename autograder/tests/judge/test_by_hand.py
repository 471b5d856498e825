"""Numbers done on paper: right to the digits asked for, one more or less in the last, and nothing else."""

import pytest

from autograder.judge.by_hand import answers_by_hand
from autograder.judge.evidence import Evidence


@pytest.mark.parametrize(
    ("right", "digits", "answer", "reason"),
    [
        ("0.378", 3, "0.378", None),
        ("0.378", 3, "0.377", None),
        ("0.378", 3, " 0.379 ", None),
        ("0.378", 3, "0.380", "value"),
        ("0.378", 3, "-0.378", "value"),
        ("0.378", 3, "0.38", "form"),
        ("0.378", 3, "0.3784", "form"),
        ("0.378", 3, "3/8", "form"),
        ("0.378", 3, "NaN", "form"),
        ("0.378", 3, "", "form"),
        ("0.000", 3, "-0.001", None),
        ("-0.001", 3, "0.000", None),
        ("568", 0, "568", None),
        ("568", 0, "569", "value"),
        ("568", 0, "568.0", "form"),
    ],
)
def test_an_answer_is_judged_by_its_digits(right, digits, answer, reason):
    judge = answers_by_hand("sum", digits)
    golden = judge.record({"answer": right})
    mismatch = judge.compare(Evidence({"answer": answer}), golden)
    assert (mismatch and mismatch.reason) == reason


def test_a_mismatch_does_not_tell_the_answer():
    judge = answers_by_hand("sum", 3)
    golden = judge.record({"answer": "0.378"})
    assert "0.378" not in judge.compare(Evidence({"answer": "0.500"}), golden).text


@pytest.mark.parametrize("answer", [None, 0.378, ["0.378"]])
def test_what_is_no_text_is_asked_for_as_text(answer):
    judge = answers_by_hand("sum", 3)
    assert "in quotation marks" in judge.compare(Evidence({"answer": answer}), judge.record({"answer": "0.378"})).text
