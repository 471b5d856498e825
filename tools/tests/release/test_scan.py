"""The scanner finds every kind of leak that we could think of, says where, and does not repeat what it found."""

import ast
import gzip
import json
import py_compile
import shutil
import textwrap
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from autograder.assignment import Course
from tools.release.scan import RUN, WHOLE_RUN, WHOLE_WORDS, Scanner, scan_tree
from tools.release.solution_text import secrets
from tools.release.token_stream import stream

BODY = """\
dtype = torch.promote_types(q.dtype, torch.float32)
scores = q.to(dtype) @ k.to(dtype).mT / math.sqrt(q.shape[-1])  # a remark of the reference
if mask is not None:
    scores = scores.masked_fill(~mask, -math.inf)
weights = scores.softmax(dim=-1).to(q.dtype)
return weights @ v, weights
"""
SOURCE = f'''"""Attention."""

import math

import torch


def attend(q, k, v, mask=None):
    """Doc."""
    # TODO: weights and output.
    # BEGIN SOLUTION
{textwrap.indent(BODY, "    ")}    # END SOLUTION


def shift(x, table, offset):
    # BEGIN SOLUTION
    return x + table[offset : offset + x.shape[-2]]
    # END SOLUTION
'''
WRONG = '''
@misconception("attention.attend")
def sum_over_queries(q, k, v, mask=None):
    """The hint, which students may read: it stands over the columns."""
    if q.shape[-1] != k.shape[-1]:
        raise ValueError("widths")
    raw = torch.einsum("...qd,...kd->...qk", q, k) / q.shape[-1] ** 0.5
    share = raw.exp() / raw.exp().sum(dim=-2, keepdim=True)
    return torch.einsum("...qk,...kd->...qd", share, v), share
'''
HIDDEN = '''
def test_seven_heads(solution, draw):
    """Seven heads of three channels each and a mask for every text give the weights of the reference."""
    q, k, v = draw.normal(3, 7, 5, 3), draw.normal(3, 7, 9, 3), draw.normal(3, 7, 9, 4)
    out, weights = solution.attention.attend(q, k, v, draw.bernoulli(0.3, 3, 1, 5, 9))
    return {"out": out, "weights": weights, "grad": draw.backward(out, weights)}
'''
INNOCENT = '''
def forward(self, x, mask=None):
    """Sources: the weights sum to 1; a query that may look at nothing gets 0, and q, k, v, mask, out, weights are tensors."""
    out = F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), mask)
    self.norm = nn.LayerNorm(d_model, eps, bias)
    raise NotImplementedError("a01_x/attention.py: attend() is yours to write (handout: attention, step 2)")
'''


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A course with one solution of some length, a short one, a misconception, a hidden check and two sums."""
    root = tmp_path_factory.mktemp("course")
    reference = root / "reference" / "a01_x"
    (reference / "hidden").mkdir(parents=True)
    (reference / "attention.py").write_text(SOURCE)
    (reference / "misconceptions").mkdir()
    (reference / "misconceptions" / "attention.py").write_text(WRONG)
    (reference / "hidden" / "test_attention.py").write_text(HIDDEN)
    (reference / "by_hand.toml").write_text('share = "0.378"\ncount = "568"\n')
    return root


@pytest.fixture(scope="module")
def scanner(course) -> Scanner:
    return Scanner(course)


def renamed(source: str) -> str:
    """All variables under other names, and formatted anew."""
    tree, names = ast.parse(source), {}

    class Rename(ast.NodeTransformer):
        def visit_Name(self, node):
            return ast.Name(names.setdefault(node.id, f"fresh{len(names)}"), node.ctx)

        def visit_arg(self, node):
            return ast.arg(names.setdefault(node.arg, f"fresh{len(names)}"))

    return ast.unparse(ast.fix_missing_locations(Rename().visit(tree)))


def function(body: str) -> str:
    return "def f(q, k, v, mask):\n" + textwrap.indent(body, "    ")


REFORMATTED = """
dtype = ( torch.promote_types( q.dtype,
    torch.float32, ) )
scores = ( ( q.to(dtype) @ k.to(dtype).mT )
           / math.sqrt(q.shape[-1],) ); 
if (mask is not None):  scores = scores.masked_fill(
    ~mask,
    -math.inf,
)
"""
NOTEBOOK = {"cells": [{"cell_type": "markdown", "source": ["# A look\n"]}], "metadata": {}, "nbformat": 4}


def notebook(**cell) -> str:
    code = {"cell_type": "code", "source": [], "outputs": [], "execution_count": None, "metadata": {}} | cell
    return json.dumps(NOTEBOOK | {"cells": [*NOTEBOOK["cells"], code]})


lines = BODY.splitlines(keepends=True)
LEAKS = {
    "verbatim": ("m.py", f"x = 1\n\n{function(BODY)}", "4"),
    "its first half": ("m.py", "\n" * 7 + "".join(lines[:4]), "8"),
    "reformatted": ("m.py", REFORMATTED, "2"),
    "renamed": ("m.py", renamed(function(BODY)), "2"),
    "renamed, in a comment": ("m.py", "\n".join(f"  # {line}" for line in renamed(function(BODY)).splitlines()), "2"),
    "in a comment": ("m.py", "x = 1\n" + "".join(f"#   {line}" for line in lines), "2"),
    "with other comments between": (
        "m.py",
        "".join(f"{x}  # that is a remark\n" for x in renamed(function(BODY)).split("\n")),
        "2",
    ),
    "in a docstring": ("m.py", f'def f():\n    """For example:\n\n{textwrap.indent(BODY, "        ")}    """\n', "4"),
    "in a string with escapes": ("m.py", f"x = {BODY!r}\n", "1"),
    "in strings side by side": ("m.py", "x = (\n" + "".join(f"    {line!r}\n" for line in lines) + ")\n", "2"),
    "in a fence of markdown": ("README.md", f"# Attention\n\n```python\n{BODY}```\n", "4"),
    "quoted in markdown": ("README.md", "> so:\n" + "".join(f"> {line}" for line in lines), "2"),
    "in a notebook's cell": ("e.ipynb", notebook(source=lines), " cell 2, line 1"),
    "in a notebook's markdown": ("e.ipynb", notebook(cell_type="markdown", source=BODY), " cell 2, line 1"),
    "in JSON": ("g.json", json.dumps({"checks": [{"text": BODY}]}), " /checks/text, line 1"),
    "in JSON, a list of lines": ("g.json", json.dumps({"text": BODY.splitlines()}), " /text, line 1"),
    "in TOML": ("a.toml", f'title = "A"\nnote = """\n{BODY}"""\n', "3"),
    "in a picture": ("r.svg", "<svg>\n" + "".join(f"<text>{line.rstrip()}</text>\n" for line in lines) + "</svg>", "2"),
    "a short one, whole": ("m.py", "return x + table[offset:offset + x.shape[-2]]", "1"),
    "a misconception, renamed": ("m.py", renamed(WRONG.split(")\n", 1)[1]), "5"),
    "a hidden check": ("test_m.py", HIDDEN.replace("test_seven_heads", "test_other"), "3"),
    "what a hidden check says": ("README.md", "It is so: " + HIDDEN.split('"""')[1], "1"),
    "an answer in by_hand.toml": ("by_hand.toml", '# Sums\ncount = ""\nshare = "0.378"\n', "3"),
    "an answer in prose": ("README.md", "The count comes to 568.\n", "1"),
    "a marker": ("m.py", "def f():\n    # BEGIN SOLUTION\n    return 1\n", "2"),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found_with_its_place_and_not_repeated(scanner, name):
    path, text, where = LEAKS[name]
    found = scanner.scan({path: text.encode()})
    assert found, "not found"
    assert (found[0].path, found[0].where) == (path, where), found
    assert not any(secret in str(finding) for finding in found for secret in ("promote_types", "0.378", "568", "Seven"))


def test_a_leak_names_the_solution_that_it_is(scanner):
    (found,) = scanner.scan({"m.py": renamed(function(BODY)).encode()})
    assert "reference/a01_x/attention.py:11" in found.what


def test_a_leak_that_lies_in_the_course_itself_does_not_excuse_itself(course, tmp_path):
    root = tmp_path / "course"
    shutil.copytree(course, root)
    leak = root / "assignments" / "a01_x" / "explore.py"
    leak.parent.mkdir(parents=True)
    leak.write_text(WRONG.replace("@misconception", "# @misconception"))
    assert Scanner(root).scan({"assignments/a01_x/explore.py": leak.read_bytes()})


def test_text_between_tensors_is_found(scanner):
    data = save({"x": torch.arange(30.0)}, {"note": BODY})
    assert [f.path for f in scanner.scan({"golden/t.safetensors": data})] == ["golden/t.safetensors"]
    assert not scanner.scan({"golden/t.safetensors": save({"x": torch.arange(30.0)})})


def test_text_that_is_packed_is_found(scanner):
    packed = gzip.compress(json.dumps({"train": [BODY]}).encode())
    assert [f.path for f in scanner.scan({"data/t.json.gz": packed})] == ["data/t.json.gz"]
    assert not scanner.scan({"data/t.json.gz": gzip.compress(json.dumps({"train": ["Iris made a key."]}).encode())})
    (damaged,) = scanner.scan({"data/t.json.gz": packed[:-20]})
    assert "cannot be read as what its name says" in damaged.what


@pytest.mark.parametrize(
    "cell",
    [
        {"outputs": [{"output_type": "stream", "text": ["4\n"]}]},
        {"execution_count": 3},
        {"attachments": {"image.png": {}}},
    ],
)
def test_what_a_notebook_has_printed_is_found(scanner, cell):
    found = scanner.scan({"e.ipynb": notebook(source=["x = 4\n"], **cell).encode()})
    assert [(f.where, f.what) for f in found] == [("cell 2", "a cell of the notebook holds outputs")]


def test_a_solution_in_a_notebook_output_is_found_as_such(scanner):
    found = scanner.scan({"e.ipynb": notebook(outputs=[{"output_type": "stream", "text": lines}]).encode()})
    assert any("reference/a01_x/attention.py:11" in f.what for f in found), found


def test_compiled_files_strangers_links_and_broken_files_are_found(scanner, tmp_path):
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "notes.txt").write_text("nothing in it\n")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    (tmp_path / "link.py").symlink_to("good.py")
    py_compile.compile(str(tmp_path / "good.py"), str(tmp_path / "good.pyc"))
    listed = {"good.py", "broken.json", "picture.png", "link.py", "good.pyc"}
    found = {f.path: f.what for f in scan_tree(scanner, tmp_path, listed.__contains__)}
    assert found.keys() == {"notes.txt", "broken.json", "picture.png", "link.py", "good.pyc"}
    assert "not on the list" in found["notes.txt"] and "compiled" in found["good.pyc"] and "link" in found["link.py"]


def test_caches_and_version_control_are_not_published(scanner, tmp_path):
    for folder in ("__pycache__", ".git", ".venv", "x.egg-info"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.py").write_text(BODY)
    assert scan_tree(scanner, tmp_path) == []


def test_what_is_no_solution_passes(scanner):
    prose = " ".join(f"word{n}" for n in range(300)) + " (" + ", ".join("abcdefghijklmnopqrstuvw") + ")"
    assert (
        scanner.scan({"m.py": INNOCENT.encode(), "README.md": prose.encode(), "h.json": json.dumps(["hint"] * 50).encode()}) == []
    )


def test_an_argument_check_and_a_hint_are_no_secrets(scanner):
    check = 'if q.shape[-1] != k.shape[-1]:\n    raise ValueError("widths")\n'
    hint = "The hint, which students may read: it stands over the columns."
    assert scanner.scan({"m.py": check.encode(), "hints.json": json.dumps({"text": hint}).encode()}) == []


def test_hidden_checks_may_be_in_what_is_no_release(scanner, tmp_path):
    reference = tmp_path / "reference" / "a01_x" / "hidden"
    reference.mkdir(parents=True)
    (reference / "test_attention.py").write_text(HIDDEN)
    assert Scanner(tmp_path).scan({"reference/a01_x/hidden/test_attention.py": HIDDEN.encode()})
    assert Scanner(tmp_path, hidden=True).scan({"reference/a01_x/hidden/test_attention.py": HIDDEN.encode()}) == []


@pytest.mark.slow
def test_an_autograder_zip_holds_no_solution_and_the_command_finds_one(toy, tmp_path):
    archive = tmp_path / "a90.zip"
    assert toy.run("gradescope", "a90", "--to", str(archive), module="tools").returncode == 0
    done = toy.run("scan", str(archive), "--hidden", module="tools")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("assignments/a90_toy/notes.md", "mean: return weighted(x, w) / x.shape[-1]")
    done = toy.run("scan", str(archive), "--hidden", module="tools")
    assert done.returncode == 1 and done.stdout.startswith("assignments/a90_toy/notes.md:1: ")


def test_how_a_text_is_set_makes_no_difference():
    expected = ("f", "(", "a", ",", "b", "+", "1.0", ")", "x")
    assert stream("f(a,\n  (b + 1),\n)  # x").words == stream('#f(a, b\\n+ 1) "x"').words == expected


@pytest.mark.slow
def test_every_solution_of_the_course_is_found_again():
    """As it stands from WHOLE_WORDS tokens on, which is all of them; renamed where there is enough code between messages."""
    root = Course.here().root
    scanner, missed, found = Scanner(root), [], {"as it stands": 0, "renamed": 0}
    for secret in secrets(root):
        path, line = secret.origin.rsplit(":", 1)
        if Path(path).parent.name in ("hidden", "tests", "misconceptions", "alternates"):
            continue
        body = (root / path).read_text(encoding="utf-8").splitlines()[int(line) :]
        body = textwrap.dedent("\n".join(body[: next(i for i, text in enumerate(body) if text.strip() == "# END SOLUTION")]))
        length = len(secret.stream.words)
        versions = {"as it stands": body} if length >= WHOLE_WORDS else {}
        if length >= WHOLE_RUN and any(True for _ in secret.stream.code_starts(min(length, RUN))):
            versions["renamed"] = renamed(function(body))
        for how, text in versions.items():
            found[how] += 1
            if not scanner.scan({"m.py": text.encode()}):
                missed.append((secret.origin, how))
    assert not missed
    assert found["as it stands"] >= 19
    assert found["renamed"] >= 15


@pytest.mark.slow
def test_given_parts_are_secret_as_long_as_their_assignment_is_due():
    """In the release of the next assignment they are source, which is the control."""
    here = Course.here()
    given = here.given / "a01_transformer/attention.py"
    found = Scanner(here.root, due="a01_transformer").scan({"notes.py": given.read_bytes()})
    assert any("given/a01_transformer/attention.py:" in finding.what for finding in found), found
    assert Scanner(here.root, due="a02_training").scan({"notes.py": given.read_bytes()}) == []
