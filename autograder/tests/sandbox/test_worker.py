"""How an exception of a submission is described, and what a check sees of the submission."""

import pytest
import torch

from autograder.sandbox.solution import Solution
from autograder.sandbox.worker import PROJECT_ABOVE, _shorten, describe


class CannotBePrinted(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def caught(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return raised


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("too long"), "ValueError", "too long"),
        (ValueError("x" * 5000), "ValueError", "x" * 2000),
        (CannotBePrinted(), "CannotBePrinted", "(this exception cannot be printed)"),
        (SyntaxError(), "SyntaxError", "None"),  # `raise SyntaxError` has no text, no file and no line
        (SyntaxError("odd", (7, 1, 1, "x")), "SyntaxError", "odd"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "MemoryError", "DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_whatever_is_raised_is_described(error, kind, message):
    described = describe(caught(error), folder="/nowhere", violation=None)
    assert (described["type"], described["message"], described["frames"]) == (kind, message, [])


def test_only_frames_of_the_students_files_are_told():
    described = describe(caught(ValueError()), folder=__file__.rpartition("/")[0], violation=None)
    assert described["frames"] == [f"test_worker.py:{caught.__code__.co_firstlineno + 2} in caught: raise error"]
    assert describe(caught(ValueError()), folder="/nowhere", violation=None)["frames"] == []


def test_a_forbidden_call_is_what_counts_even_if_another_exception_came_of_it():
    described = describe(caught(ValueError("caught it")), folder="/nowhere", violation="x.py:3 calls gelu")
    assert (described["type"], described["message"]) == ("ForbiddenCall", "x.py:3 calls gelu")


def test_a_missing_module_is_named():
    assert describe(caught(ModuleNotFoundError("No module", name="scipy")), "/nowhere", None)["module"] == "scipy"
    assert describe(caught(ValueError()), "/nowhere", None)["module"] is None


def test_a_large_tensor_of_a_step_is_sent_as_its_projection():
    small, large = torch.ones(PROJECT_ABOVE), torch.ones(PROJECT_ABOVE + 1)
    assert _shorten(small) is small and _shorten("text") == "text"
    shortened = _shorten(large)
    assert shortened["shape"] == f"({PROJECT_ABOVE + 1},)" and shortened["projection"].numel() < 10
    assert not torch.equal(shortened["projection"], _shorten(-large)["projection"])


def test_an_open_question_by_hand_is_not_written_yet(tmp_path):
    (tmp_path / "by_hand.toml").write_text('first = "0.5"\nsecond = ""\n', encoding="utf-8-sig")
    answers = Solution("package", str(tmp_path)).by_hand
    assert answers["first"] == "0.5"
    for question in ("second", "third"):
        with pytest.raises(NotImplementedError, match=question):
            answers[question]
    (tmp_path / "by_hand.toml").write_text("first = ")
    with pytest.raises(ValueError, match="cannot be read"):
        Solution("package", str(tmp_path)).by_hand  # noqa: B018
