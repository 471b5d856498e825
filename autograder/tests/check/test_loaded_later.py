"""A package that is loaded later: what may be taken from it without an import, and that it is the real one in the end."""

import subprocess
import sys

import pytest

# A package of three modules, and a reader; each module says when it is imported.
READER = """
import sys
sys.path.insert(0, {folder!r})
from autograder.check.loaded_later import loaded_later

with loaded_later("heavy"):
    {code}
print("then", *sorted(name for name in sys.modules if name.startswith("heavy")))
{after}
"""


@pytest.fixture
def package(tmp_path):
    (tmp_path / "heavy" / "inner").mkdir(parents=True)
    (tmp_path / "heavy" / "__init__.py").write_text("print('heavy')\nfrom heavy import inner\nVALUE = 7\n__version__ = '2'\n")
    (tmp_path / "heavy" / "inner" / "__init__.py").write_text("print('heavy.inner')\nclass Base:\n    pass\n")
    (tmp_path / "heavy" / "leaf.py").write_text("print('heavy.leaf')\ndef double(x):\n    return 2 * x\n")
    return tmp_path


def read(package, code: str, after: str = "") -> list[str]:
    """What is printed when this code is read, and the code after it is run."""
    script = READER.format(folder=str(package), code=code, after=after)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("code", "after"),
    [
        ("import heavy", "print(heavy.VALUE, heavy.inner.Base.__module__)"),
        ("from heavy import inner", "import heavy; print(heavy.VALUE, inner.Base.__module__)"),
        ("import heavy.inner as inner", "import heavy; print(heavy.VALUE, inner.Base.__module__)"),
        ("import heavy; inner = heavy.inner", "print(heavy.VALUE, inner.Base.__module__)"),
    ],
)
def test_modules_are_imported_when_something_is_taken_from_them(package, code, after):
    lines = read(package, code, after)
    assert lines == ["then", "heavy", "heavy.inner", "7 heavy.inner"]


def test_a_submodule_is_the_same_for_everybody_afterwards(package):
    after = "import heavy.leaf\nprint(leaf.double(4), heavy.leaf.double(5), leaf.double is heavy.leaf.double)"
    assert read(package, "from heavy import leaf", after) == ["then", "heavy", "heavy.inner", "heavy.leaf", "8 10 True"]


@pytest.mark.parametrize(
    "code",
    ["from heavy import VALUE", "import heavy; heavy.VALUE", "import heavy; heavy.__version__", "from heavy.leaf import double"],
)
def test_anything_else_imports_the_real_package_at_once(package, code):
    assert read(package, code)[:2] == ["heavy", "heavy.inner"]


def test_a_class_inherits_from_the_real_one(package):
    after = "import heavy.inner\nprint(issubclass(Derived, heavy.inner.Base))"
    lines = read(package, "from heavy import inner\n    class Derived(inner.Base): pass", after)
    assert (lines[0], lines[-1]) == ("heavy", "True")


def test_what_does_not_exist_fails_as_usual(package):
    code = """
    import heavy
    for statement in ("import heavy.nothing", "from heavy import nothing", "heavy.nothing"):
        try:
            exec(statement)
        except (ImportError, AttributeError) as error:
            print(type(error).__name__)"""
    assert [line for line in read(package, code) if "Error" in line] == ["ModuleNotFoundError", "ImportError", "AttributeError"]


def test_a_package_that_is_imported_already_stays_as_it_is(package):
    code = "import heavy; print(type(heavy).__name__)"
    lines = read(package, "pass", "")
    assert lines == ["then"]
    script = READER.format(folder=str(package), code=code, after="").replace("with loaded", "import heavy\nwith loaded")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["heavy", "heavy.inner", "module", "then heavy heavy.inner"]
