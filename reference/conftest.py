"""What the tests of all references share: packages that are imported beside their namesakes, and float64 on one thread."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def load():
    """load("reference", "a01_transformer", ("model", …)): its modules by name; sys.path and sys.modules are as before afterwards.

    others: modules of `given` that go with them, by the name that they get.
    """

    def load(folder: str, package: str, modules: tuple[str, ...], **others: str) -> SimpleNamespace:
        tops = {package.split(".", maxsplit=1)[0], "given"}
        mine = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in tops}
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(ROOT / "assignments"))
            patch.syspath_prepend(str(ROOT / folder))
            found = {name: importlib.import_module(f"{package}.{name}") for name in modules}
            found |= {name: importlib.import_module(module) for name, module in others.items()}
        for name in list(sys.modules):
            if name.split(".")[0] in tops:
                del sys.modules[name]
        sys.modules.update(mine)
        return SimpleNamespace(**found)

    return load


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def float64(one_thread):
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
