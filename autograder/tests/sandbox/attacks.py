"""Submissions that try to cheat or break the grader, on top of a wrong or a slow solution of the toy course.

Each row is a trick: `head` is put at the top of the student's file, `weighted` and `mean` are bodies of the two functions, `files`
lie beside it. "{course}" stands for the root of the course, where hidden checks, golden values and a secret file lie.
What a trick finds, it tries to carry out: in messages, prints, files, results.
"""

import os
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

WRONG = {"weighted": "return -2 * (x @ w)", "mean": "return 0.3 * weighted(x, w) + 1"}
SLOW = {
    "weighted": "return torch.stack([sum(a * b for a, b in zip(row, w)) for row in x.reshape(-1, x.shape[-1])]).reshape(x.shape[:-1])",
    "mean": "return 0 * x[..., 0]",
}

HONEST = {"weighted": "return x @ w", "mean": "return (x * w).mean(-1)"}
DETACHED = {"weighted": "return (x @ w).detach()", "mean": "return x @ w * 2"}


@dataclass(frozen=True)
class Attack:
    """One row. number: in the table of tricks; alone: the bodies without the trick; hangs: every check takes all its time."""

    number: int
    name: str
    head: str = ""
    weighted: str = ""
    mean: str = ""
    files: dict[str, str | bytes] = field(default_factory=dict)
    alone: dict[str, str] = field(default_factory=lambda: WRONG)
    hangs: bool = False
    make: object = None  # a function of the folder that adds what is no plain file, or replaces the folder by an archive

    def write(self, folder: Path, course: Path) -> Path:
        """The submission as a folder or an archive."""
        folder.mkdir(parents=True)
        bodies = {name: getattr(self, name) or self.alone[name] for name in ("weighted", "mean")}
        (folder / "sums.py").write_text(source(bodies, self.head.replace("{course}", str(course))))
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.replace("{course}", str(course)).encode())
        return (self.make(folder, course) if self.make else None) or folder


def source(bodies: dict[str, str], head: str = "") -> str:
    """The student's file with these bodies; a body of several lines is indented by one step."""
    indented = lambda body: "\n".join(f"    {line}" for line in body.splitlines())
    return f"import torch\n{head}\n\n" + "\n\n".join(f"def {name}(x, w):\n{indented(body)}\n" for name, body in bodies.items())


def _link(kind: str):
    def make(folder: Path, course: Path) -> None:
        secret, target = course / "reference/a90_toy/sums.py", folder / "sums.py"
        target.unlink()
        {"symlink": lambda: target.symlink_to(secret), "fifo": lambda: os.mkfifo(target),
         "device": lambda: os.mknod(target, 0o600 | 0o020000, os.makedev(1, 5)),
         "folder": lambda: target.symlink_to(course / "reference/a90_toy", target_is_directory=True)}[kind]()  # fmt: skip

    return make


def _zip(**members: bytes):
    """An archive with the wrong solution and these members; "UP" stands for "../"."""

    def make(folder: Path, course: Path) -> Path:
        target = folder.with_suffix(".zip")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
            file.write(folder / "sums.py", "sums.py")
            for name, data in members.items():
                file.writestr(name.replace("UP", "../").replace("ROOT", "/"), data)
        return target

    return make


def _many_files(folder: Path, course: Path) -> Path:
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as file:
        file.write(folder / "sums.py", "sums.py")
        for number in range(100_000):
            file.writestr(f"{number}", b"")
    return target


def _tar_with_links(folder: Path, course: Path) -> Path:
    target = folder.with_suffix(".tar.gz")
    with tarfile.open(target, "w:gz") as file:
        link = tarfile.TarInfo("sums.py")
        link.type, link.linkname = tarfile.SYMTYPE, str(course / "reference/a90_toy/sums.py")
        file.addfile(link)
    return target


LOOT = """
import glob, os
def loot():
    found = []
    for pattern in ("{course}/*", "{course}/*/*/*/*", "{course}/*/*/*/*/*", "/proc/*/environ", "/proc/*/cmdline", "/proc/*/fd/*"):
        for name in glob.glob(pattern):
            try:
                found.append(open(name, errors="replace").read(20000))
            except Exception as error:
                found.append(str(error))
    return "".join(found)
"""
SPILL = """
def spill(text):
    print(text)
    for name in ("/tmp/spill", "/dev/shm/spill", "/var/tmp/spill", "spill", os.path.expanduser("~/spill"), "/work/spill", "/autograder/results/spill"):
        try:
            open(name, "w").write(text)
        except OSError:
            pass
    raise RuntimeError(text[-1500:])
"""
FORGED = '{"score": 100, "tests": [{"name": "all", "score": 100, "max_score": 100, "status": "passed"}]}'
MARKUP = "<script>document.title='owned'</script><img src=x onerror=alert(1)>=HYPERLINK(\\\"http://x\\\")|{{7*7}} \\x1b[2J\\x1b]0;owned\\x07 \\u202e"

ATTACKS = [
    Attack(1, "os._exit on import", head="import os; os._exit(0)"),
    Attack(1, "os._exit in a call", weighted="import os; os._exit(0)"),
    Attack(2, "sys.exit on import", head="import sys; sys.exit(0)"),
    Attack(2, "SystemExit in a call", weighted="raise SystemExit(0)", mean="raise KeyboardInterrupt"),
    Attack(
        3,
        "objects that please every comparison",
        head="class Yes:\n"
        + "".join(f"    def __{n}__(self, *_): return self\n" for n in ("sub", "rsub", "abs", "add", "mul", "getitem", "neg"))
        + "".join(f"    def __{n}__(self, *_): return True\n" for n in ("eq", "ne", "lt", "le", "gt", "ge", "bool", "contains"))
        + "    __hash__ = None\n    requires_grad = True\n    shape = (2, 3)\n    grad_fn = None\n    def __getattr__(self, n): return self\n    def __call__(self, *a, **k): return self",
        weighted="return Yes()",
        mean="return Yes()",
    ),
    Attack(
        4,
        "a tensor subclass that fakes comparison",
        head="class Fake(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, func, types, args=(), kwargs=None):\n"
        "        name = getattr(func, '__name__', '')\n        if name in ('allclose', 'equal', 'isclose', 'eq', 'le', 'all'): return torch.tensor(True)\n"
        "        return super().__torch_function__(func, types, args, kwargs or {})",
        weighted="return (x @ w * 0).as_subclass(Fake)",
        mean="return torch.zeros(3).as_subclass(Fake)",
    ),
    Attack(
        6,
        "patches pytest's reports",
        head="import sys, types\ntry:\n    import _pytest.reports, _pytest.runner\n    _pytest.reports.TestReport.outcome = 'passed'\n    _pytest.runner.check_interactive_exception = lambda *a: False\nexcept Exception: pass",
    ),
    Attack(7, "skips itself", weighted="import pytest; pytest.skip('no')", mean="import unittest; raise unittest.SkipTest('no')"),
    Attack(8, "ships conftest.py", files={"conftest.py": "import os; os._exit(0)", "tests/conftest.py": "raise SystemExit"}),
    Attack(
        9,
        "ships ini files",
        files={n: "[pytest]\naddopts = --deselect test_value\n[tool.pytest.ini_options]\naddopts = '-k nothing'" for n in ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini")},
    ),
    Attack(
        10,
        "shadows torch, numpy, the reference and given",
        files={n: "raise SystemExit(0)" for n in ("torch.py", "numpy.py", "json.py", "reference.py", "given/__init__.py", "given/a90_toy/sums.py", "autograder/__init__.py")},
    ),
    Attack(
        11,
        "ships compiled files and start-up hooks",
        files={
            "__pycache__/sums.cpython-311.pyc": b"\0" * 32,
            "sums.so": b"\x7fELF",
            "sitecustomize.py": "import os; os._exit(0)",
            "x.pth": "import os; os._exit(0)",
        },
    ),
    Attack(
        12,
        "imports the reference and the hidden checks",
        head=LOOT + SPILL + "import sys\nsys.path[:0] = ['{course}', '{course}/reference', '{course}/reference/a90_toy/hidden']",
        weighted="try:\n    import test_hidden\n    spill(test_hidden.CANARY)\nexcept ImportError: pass\nimport reference.a90_toy.sums as right\nreturn right.weighted(x, w)",
        mean="spill(loot())",
    ),
    Attack(
        15,
        "rewrites results when it ends",
        head=f"import atexit, os, threading, time\nFORGED = {FORGED!r}\n"
        "def rewrite():\n    for name in ('/autograder/results/results.json', 'results.json', '../results.json', '../../results.json', '/tmp/results.json'):\n"
        "        try: open(name, 'w').write(FORGED)\n        except OSError: pass\n"
        "atexit.register(rewrite)\ntry:\n    if os.fork() == 0:\n        os.setsid()\n        while True:\n            rewrite(); time.sleep(0.2)\nexcept OSError: pass",
    ),
    Attack(
        17,
        "patches the clock",
        head="import time, resource\nfor n in ('perf_counter', 'monotonic', 'process_time', 'thread_time', 'time', 'perf_counter_ns', 'monotonic_ns', 'process_time_ns'):\n    setattr(time, n, lambda: 0)\ntorch.cuda.synchronize = lambda *a: None",
        alone=SLOW,
    ),
    Attack(
        18,
        "remembers by address and by value",
        head="seen = {}",
        weighted="key = x.data_ptr()\nif key not in seen and tuple(x.shape) not in seen:\n    out = " + SLOW["weighted"].removeprefix("return ") + "\n    seen[key] = seen[tuple(x.shape)] = out\nreturn seen.get(key, seen.get(tuple(x.shape)))",
        alone=SLOW,
    ),
    Attack(
        19,
        "works in a thread and returns at once",
        head="import threading",
        weighted="out = torch.zeros(x.shape[:-1])\ndef work():\n    out.copy_(torch.stack([sum(a * b for a, b in zip(row, w)) for row in x.detach().reshape(-1, x.shape[-1])]).reshape(x.shape[:-1]))\nthreading.Thread(target=work).start()\nreturn out",
        alone=SLOW,
    ),
    Attack(
        19,
        "works in another process, off the clock",
        head="import os, socket, pickle",
        weighted="a, b = socket.socketpair()\nif os.fork() == 0:\n    r = torch.stack([sum(p * q for p, q in zip(row, w)) for row in x.detach().reshape(-1, x.shape[-1])])\n    a.sendall(pickle.dumps(r.tolist())); os._exit(0)\nreturn torch.tensor(pickle.loads(b.recv(1 << 20))).reshape(x.shape[:-1])",
        alone=SLOW,
    ),
    Attack(22, "returns NaN and inf", weighted="return (x @ w) * float('nan')", mean="return (x @ w) * float('inf')"),
    Attack(23, "returns what broadcasts", weighted="return torch.zeros(()).expand(1, 1)", mean="return torch.zeros(0)"),
    Attack(
        25,
        "ignores every signal and hangs",
        hangs=True,
        head="import signal\nfor s in signal.valid_signals():\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass",
        weighted="while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    ),
    Attack(27, "prints a results object", head=f"print({FORGED!r}); import sys; print({FORGED!r}, file=sys.stderr, flush=True)"),
    Attack(
        29,
        "rewrites the checks through sys.modules",
        head="import sys, gc, types\nfor name, module in list(sys.modules.items()):\n    if name.startswith(('check_', 'test_', 'autograder')):\n        for key in list(vars(module)):\n            if key.startswith('test_') or key in ('matches_reference', 'compare', 'pack', 'describe'):\n                setattr(module, key, lambda *a, **k: {})",
    ),
    Attack(
        29,
        "forges the observation on the result pipe",
        head="""
from autograder.observation.serialization import serialize
from autograder.sandbox.framing import write_frame
frame = b"S" + serialize({"observation": {"out": torch.zeros(2, 3), "grad": {"0": torch.ones(2, 3, 5)}}, "inputs": []})
for fd in range(3, 30):
    try:
        write_frame(fd, frame)
    except OSError:
        pass""",
    ),
    Attack(
        30,
        "changes dtype, grad mode, threads and seeds",
        head="import random\ntorch.set_default_dtype(torch.float64); torch.set_grad_enabled(False); torch.set_num_threads(64); torch.manual_seed(0); random.seed(0)\ntry: torch.use_deterministic_algorithms(True)\nexcept Exception: pass",
    ),
    Attack(
        31,
        "patches json and open",
        hangs=True,
        head="import json, builtins, io, os, struct\njson.dump = json.dumps = lambda *a, **k: '[]'\nbuiltins.open = io.open = lambda *a, **k: io.StringIO('{}')\nos.write = lambda *a: 0\nstruct.pack = lambda *a: b''",
    ),
    Attack(32, "floods stdout and stderr for ever", head="import os\nblock = b'y' * (1 << 20)\nwhile True:\n    os.write(1, block); os.write(2, block)"),
    Attack(
        34,
        "returns a pickle with __reduce__",
        head="import os, pickle\nclass Bomb:\n    def __reduce__(self): return (os.system, ('touch /tmp/owned',))",
        weighted="torch.save(Bomb(), 'sums.pt')\nreturn Bomb()",
        mean="return pickle.dumps(Bomb())",
    ),
    Attack(35, "is a link to the solution", make=_link("symlink")),
    Attack(35, "is a FIFO", make=_link("fifo")),
    Attack(35, "is a device", make=_link("device")),
    Attack(35, "is a link to a folder", make=_link("folder")),
    Attack(36, "zip bomb", make=_zip(bomb=b"\0" * (200 << 20))),
    Attack(36, "zip with ../ and absolute members", make=_zip(UPUPUPowned=b"x", ROOTtmpROOTowned=b"x")),
    Attack(36, "zip with 100,000 files", make=_many_files),
    Attack(36, "zip with long names", make=_zip(**{"n" * 5000: b"x", "d/" * 300 + "f": b"x"})),
    Attack(36, "tar with a link to the solution", make=_tar_with_links),
    Attack(
        38,
        "reads the memory of the grader",
        head=SPILL
        + "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nfound = []\n"
        "for pid in {os.getppid(), 1, *[int(p) for p in (os.listdir('/proc') if os.access('/proc', os.R_OK) else []) if p.isdigit() and int(p) != os.getpid()]}:\n"
        "    if libc.ptrace(16, pid, 0, 0) == 0: found.append(f'ptrace {pid}')\n"
        "    buffer = ctypes.create_string_buffer(64)\n    vec = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64); far = (ctypes.c_size_t * 2)(id(libc), 64)\n"
        "    if libc.process_vm_readv(pid, vec, 1, far, 1, 0) > 0: found.append(f'CANARY read {pid}')\n"
        "    try: found.append(f'mem {open(f\"/proc/{pid}/mem\", \"rb\").fileno()}')\n    except OSError: pass\n",
        weighted="spill('REA' + 'CHED' if found else 'nothing')",
    ),
    Attack(
        39,
        "opens sockets",
        head="import socket\nmade = []\n"
        "for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, 40):\n    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):\n"
        "        try: made.append(socket.socket(family, kind))\n        except OSError: pass\n"
        "try: socket.getaddrinfo('localhost', 80); socket.create_connection(('127.0.0.1', 22), 1); made.append('connected')\nexcept OSError: pass",
        weighted="raise RuntimeError('REA' + 'CHED' if made else 'nothing')",
    ),
    Attack(40, "fork bomb", hangs=True, head="import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
    Attack(
        40,
        "thread bomb",
        hangs=True,
        head="import threading, time\nwhile True:\n    try: threading.Thread(target=time.sleep, args=(1000,), daemon=False).start()\n    except Exception: pass",
    ),
    Attack(41, "memory bomb", head="hoard = []\nwhile True:\n    try: hoard.append(bytearray(1 << 26))\n    except MemoryError: hoard.append(b'x' * 4096)"),
    Attack(
        41,
        "fills the disk and shared memory",
        head="import os\nfor folder in ('.', '/tmp', '/dev/shm', '/var/tmp'):\n    for n in range(10**6):\n        try:\n            f = open(f'{folder}/fill{n}', 'wb')\n            while True: f.write(b'x' * (1 << 20))\n        except OSError:\n            if folder != '.': break",
    ),
    Attack(
        43,
        "walks inherited file descriptors",
        head=SPILL + "import os\nloot = []\nfor fd in range(3, 256):\n    try:\n        os.lseek(fd, 0, 0); loot.append(os.read(fd, 10000).decode(errors='replace'))\n    except OSError: pass\nloot.append(str(dict(os.environ)))",
        weighted="spill(''.join(loot))",
    ),
    Attack(
        45,
        "carries hidden inputs out in messages",
        head=SPILL + "import sys, gc, time\n",
        weighted="text = ''\nframe = sys._getframe()\nwhile frame:\n    text += repr(frame.f_locals)[:2000] + repr([v for v in frame.f_globals.values() if isinstance(v, str)])[:3000]\n    frame = frame.f_back\nfor name, module in list(sys.modules.items()):\n    if name.startswith('check_'): text += repr(vars(module))[:5000]\ntime.sleep(0.3)\nspill(text)",
    ),
    Attack(
        47,
        "calls the forbidden built-in in other spellings",
        head="from torch.nn.functional import gelu as harmless\nG = torch.nn.GELU()",
        weighted="getattr(torch.ops.aten, 'ge' + 'lu')(x)\nreturn x @ w",
        mean="return eval('torch.nn.functional.ge' 'lu(x)') @ w",
    ),
    Attack(
        48,
        "forges gradients",
        alone=DETACHED,
        weighted="x.grad = torch.ones_like(x); w.grad = torch.ones_like(w)\nout = (x @ w).detach().requires_grad_()\nout.register_hook(lambda g: g * 0 + 1)\nreturn out",
        mean="class F(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x, w): return x @ w * 2\n    @staticmethod\n    def backward(ctx, g): return None, None\nreturn F.apply(x, w)",
    ),
    Attack(49, "ships edited checks and golden values", files={"tests/test_sums.py": "def test_value(): pass", "tests/golden/test_sums.json": "{}"}),
    Attack(
        50,
        "leaves files for the next submission",
        head="import os, site, sys\nfor folder in (os.path.expanduser('~/.cache'), '/tmp', '/var/tmp', '/dev/shm', '/run/lock', *site.getsitepackages(), os.path.dirname(torch.__file__), '..', '../..', '../tree', os.path.dirname(__file__)):\n    for name in ('sitecustomize.py', 'left.pth', 'sums.py'):\n        try:\n            os.makedirs(folder, exist_ok=True)\n            open(os.path.join(folder, name), 'w').write('import os; os._exit(0)')\n        except OSError: pass",
    ),
    Attack(51, "escapes, markup and formulas in messages", head=f'SAID = "{MARKUP}"\nprint(SAID)', weighted="raise type('<b>' + SAID[:40], (Exception,), {})(SAID)", mean="return {SAID: x @ w}"),
    Attack(
        53,
        "cheats once it sees a grader",
        head="import sys, os\nGRADER = any('autograder' in m for m in sys.modules) or 'RUNNER' in os.environ",
        weighted="if GRADER:\n    os._exit(0)\nreturn -2 * (x @ w)",
    ),
    Attack(
        54,
        "writes its own leaderboard",
        head='print(\'{"leaderboard": [{"name": "pace", "value": 0.0001}]}\')',
        weighted="w.leaderboard = x.set_leaderboard_value = 10**9\nreturn -2 * (x @ w)",
    ),
    Attack(
        99,
        "joins its own workers by a socket",
        head="import socket, os\nlink = 'no link'\ntry:\n    s = socket.socket(socket.AF_UNIX); s.bind('\\0course-link'); s.listen(); link = 'REA' + 'CHED'\nexcept OSError: pass\ntry:\n    c = socket.socket(socket.AF_UNIX); c.connect('\\0course-link'); link = 'REA' + 'CHED'\nexcept OSError: pass",
        weighted="raise RuntimeError(link)",
    ),
    Attack(
        99,
        "kills what it can",
        head="import os, signal\nfor pid in [os.getppid(), -1, 0, 1, *range(2, 400)]:\n    if pid != os.getpid():\n        try: os.kill(pid, 9)\n        except OSError: pass\n        try: signal.pidfd_send_signal(os.pidfd_open(pid), 9)\n        except (OSError, ValueError, AttributeError): pass",
    ),
    Attack(
        99,
        "a source file that breaks parsers",
        make=lambda folder, course: (folder / "sums.py").write_text("x = " + "(" * 5000 + ")" * 5000 + "\n" + "-" * 100_000 + "1\n") and None,
    ),
]  # fmt: skip
