"""Files of cases are read without being run, each case with what it needs of its file."""

from pathlib import Path

import pytest

from tools.author.cases import Case, alternate, load_cases, misconception

FILE = '''"""Wrong versions."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

import tools.author.cases
from a01_transformer.attention import causal_mask
from tools.author.cases import alternate, misconception

from .layers import gelu

LIMIT = 2 * math.pi


def _clamp(x: Tensor) -> Tensor:
    return x.clamp(max=LIMIT)


@misconception("attention.scaled", pitfall=3, ask="Which axis sums to 1?")
@nn.no_grad()
def over_the_queries(q, k):
    """The softmax runs over the queries,

    so that columns sum to 1.
    """
    math = "a local name, so the import stays out"
    return F.softmax(_clamp(q @ k.mT), dim=-2), causal_mask(3), math


@autograder.cases.alternate("attention.Head.forward")
def by_hand(self, x):
    """Another route."""
    return gelu(x)
'''


@pytest.fixture
def read(tmp_path):
    def read(text: str) -> list[Case]:
        path = tmp_path / "misconceptions.py"
        path.write_text(text, encoding="utf-8")
        return load_cases(path)

    return read


def test_a_case_has_its_target_its_hint_and_its_text(read):
    case, other = read(FILE)
    assert (case.kind, case.name) == ("misconception", "over_the_queries")
    assert (case.target, case.module, case.qualname) == ("attention.scaled", "attention", "scaled")
    assert (case.pitfall, case.ask) == (3, "Which axis sums to 1?")
    assert case.doc == "The softmax runs over the queries,\n\nso that columns sum to 1."
    assert case.source.startswith('@nn.no_grad()\ndef over_the_queries(q, k):\n    """The softmax')
    assert case.source.endswith("causal_mask(3), math")
    assert (other.kind, other.qualname, other.pitfall) == ("alternate", "Head.forward", None)


def test_the_preamble_is_what_a_case_uses_and_what_that_uses_in_turn(read):
    case, other = read(FILE)
    assert case.preamble == (
        "import math",
        "import torch.nn.functional as F",
        "from torch import Tensor",
        "from torch import nn",
        "LIMIT = 2 * math.pi",
        "def _clamp(x: Tensor) -> Tensor:\n    return x.clamp(max=LIMIT)",
    ), "and no import from the module that the case changes"
    assert other.preamble == ("from .layers import gelu",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('@misconception("attention")\ndef f():\n    "doc"\n', "a target is a module and a name in it"),
        ("@misconception(WHERE)\ndef f():\n    'doc'\n", "malformed node"),
        ('@misconception("a.b", pitfal=1)\ndef f():\n    "doc"\n', "pitfal"),
        ('@misconception("a.b", pitfall="1")\ndef f():\n    "doc"\n', "pitfall is a number"),
        ('@misconception\ndef f():\n    "doc"\n', "needs a target in parentheses"),
        ('@misconception("a.b")\ndef f():\n    pass\n', "f needs a docstring"),
        ('@alternate("a.b")\ndef f():\n    "doc"\n\n\n@alternate("a.c")\ndef f():\n    "doc"\n', "two cases named f"),
    ],
)
def test_a_faulty_case_is_refused_with_its_place(read, text, complaint):
    with pytest.raises(ValueError, match=rf"misconceptions\.py:\d+: .*{complaint}"):
        read(text)


@pytest.fixture
def read_folder(tmp_path):
    """Reads a folder of cases: each keyword is a file, and its value the targets of its functions by their names."""

    def read_folder(**files: dict[str, str]) -> list[Case]:
        folder = tmp_path / "misconceptions"
        folder.mkdir()
        for stem, targets in files.items():
            cases = [f'@misconception("{target}")\ndef {name}():\n    "doc"\n' for name, target in targets.items()]
            (folder / f"{stem}.py").write_text("\n\n".join(cases), encoding="utf-8")
        return load_cases(folder)

    return read_folder


def test_a_folder_is_read_file_by_file_and_each_file_in_its_order(read_folder):
    cases = read_folder(rope={"late": "rope.rotate"}, attention={"second": "attention.b", "first": "attention.a"}, norm={})
    assert [(c.module, c.name) for c in cases] == [("attention", "second"), ("attention", "first"), ("rope", "late")]


def test_a_case_of_a_folder_takes_nothing_from_other_files(tmp_path):
    (tmp_path / "attention.py").write_text(FILE, encoding="utf-8")
    (tmp_path / "rope.py").write_text(
        '@misconception("rope.turn")\ndef f(x):\n    "doc"\n    return _clamp(x)\n', encoding="utf-8"
    )
    assert [bool(case.preamble) for case in load_cases(tmp_path)] == [True, True, False]


def test_a_name_that_two_files_of_a_folder_use_is_refused_with_both_places(read_folder):
    with pytest.raises(ValueError, match=r"/rope\.py:2: there are two cases named f; the first is at .*/attention\.py:7$"):
        read_folder(rope={"f": "rope.b"}, attention={"g": "attention.a", "f": "attention.b"})


def test_a_case_in_the_file_of_another_module_is_refused_with_its_place(read_folder):
    with pytest.raises(ValueError, match=r"/rope\.py:7: g is a version of norm\.a, so it belongs in norm\.py$"):
        read_folder(rope={"f": "rope.a", "g": "norm.a"})


def test_a_faulty_case_of_a_folder_is_refused_with_its_place(read_folder):
    with pytest.raises(ValueError, match=r"/rope\.py:2: a target is a module and a name in it"):
        read_folder(rope={"f": "rope"})


def test_the_file_is_not_run(read):
    assert read('raise SystemExit\n@misconception("a.b")\ndef f():\n    "doc"\n')[0].name == "f"


def test_imported_the_decorators_attach_the_case_and_change_nothing_else():
    @misconception("rope.rotate", 2)
    def unturned(x):
        """Nothing turns."""
        return x

    @alternate("rope.Rope")
    class Complex:
        """Complex numbers."""

    assert unturned(3) == 3
    assert unturned.__case__ == Case("misconception", "rope.rotate", "unturned", "Nothing turns.", pitfall=2)
    assert Complex.__case__ == Case("alternate", "rope.Rope", "Complex", "Complex numbers.")


ASSIGNMENTS = sorted(Path(__file__).parents[3].glob("reference/a[0-9][0-9]_*"))


@pytest.mark.parametrize("folder", ASSIGNMENTS, ids=lambda folder: folder.name)
def test_the_real_cases_can_be_read_and_each_has_a_name_of_its_own(folder):
    wrong, right = load_cases(folder / "misconceptions"), load_cases(folder / "alternates")
    assert {c.kind for c in wrong} == {"misconception"} and {c.kind for c in right} == {"alternate"}
    assert not {c.name for c in wrong} & {c.name for c in right}
