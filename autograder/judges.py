"""Judges: they compare what a check saw with what it should have seen, and never run anything.

Each has the same two methods. `compare(seen, golden, …)` gives a `Departure` or None; `explain(departure)` gives the text
that a student reads. A judge decorates a check: `@matches_reference`, `@satisfies(same("here", "moved"))`.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autograder.golden import Expected, Golden, gap, is_float, numbers
from autograder.observation import Alien, Array, Leaf, Observation
from autograder.training import VOCABULARY, Task, sees_its_target, where_it_went


@dataclass(frozen=True)
class Departure:
    """Where an observation first leaves what is right. reason: one word for statistics; text: for the student."""

    leaf: str
    reason: str
    text: str


class Judge:
    """What all judges share: decorating a check, and parity with the golden observation."""

    mode = "observe"  # how workers are driven: "observe" in one go, "pace" or "memory" step by step, "train" two in turn
    random: tuple[str, ...] = ()  # leaves that differ from run to run by nature

    def __call__(self, function: Callable) -> Callable:
        function.__judge__ = self
        return function

    def compare(self, seen: Observation, golden: Golden, factor: float = 1.0) -> Departure | None:
        """The first departure: keys, then type, dtype and shape, then finite, then values, then overwritten inputs."""
        for path in golden.leaves:
            if path not in seen:
                return Departure(path, "missing", f"{path} is missing; {_have(seen)}")
        for path in seen:
            if path not in golden.leaves:
                return Departure(path, "unexpected", f"{path} was not expected; the names should be {_list(golden.leaves)}")
        for path, expected in golden.leaves.items():
            if departure := _structure(path, seen[path], expected.value):
                return departure
        for path, expected in golden.leaves.items():
            if not expected.random and (departure := _values(path, seen[path], expected, factor)):
                return departure
        return None

    def explain(self, departure: Departure) -> str:
        return departure.text

    def remark(self, seen: Observation, golden: Golden) -> str:
        """What is worth knowing about an observation that is right."""
        return ""


class MatchesReference(Judge):
    """Every leaf equals the golden one: keys, type, dtype, shape, finite, value within the derived tolerance."""


class Satisfies(Judge):
    """A property of the observation, beside parity in every leaf that is not random by nature.

    predicate: observation → None, or a sentence that says what does not hold. random: names of leaves that are random;
    the predicate states the false-alarm rate of what it says about them.
    """

    def __init__(self, predicate: Callable[[Observation], str | None], random: tuple[str, ...] = ()):
        self.predicate, self.random = predicate, random

    def compare(self, seen: Observation, golden: Golden, factor: float = 1.0) -> Departure | None:
        departure = super().compare(seen, golden, factor)
        structural = departure and departure.reason not in ("value", "nonfinite")
        if structural:
            return departure
        try:
            sentence = self.predicate(seen)
        except Exception:
            if departure is None:
                raise
            return departure  # the values are wrong, and so wrong that the property cannot be asked for
        if sentence:
            return Departure("property", "property", sentence)
        return departure


class KeepsPace(Judge):
    """CPU time of each step as a ratio to the same steps of a baseline that holds no student code.

    full, none: ratios for all points and for none, linear between. repeats: steps after
    the warm-up; the median counts, without two that are watched for forbidden calls.
    The check is a generator: its first yield ends the set-up, its second is a warm-up, each further one is a repetition.
    The baseline runs the same check on `given`, or `probe(draw)`, a generator too. Outputs are compared as well.
    """

    mode = "pace"

    def __init__(self, full: float, none: float, repeats: int = 9, probe: Callable | None = None):
        if not 0 < full < none:
            raise ValueError(f"keeps_pace needs 0 < full < none; got full={full}, none={none}")
        self.full, self.none, self.repeats, self.probe = full, none, repeats, probe

    def score(self, ratio: float) -> float:
        """Share of the points: 1 up to `full`, 0 from `none` on, linear between."""
        return min(1.0, max(0.0, (self.none - ratio) / (self.none - self.full)))

    def ratio(self, mine: list[float], baseline: list[float]) -> float:
        """Median of the ratios pair by pair, so that a machine that slows down slows both."""
        return statistics.median(a / max(b, 1e-9) for a, b in zip(mine, baseline, strict=True))

    def judge_ratio(self, ratio: float) -> Departure | None:
        if ratio <= self.full:
            return None
        return Departure(
            "time",
            "pace",
            f"{ratio:.2f} times the baseline's CPU time; full points up to {self.full:.2f}, "
            f"none from {self.none:.2f} (median of {self.repeats - 2})",
        )


class FitsInMemory(Judge):
    """Growth of the worker's peak memory between two sizes of the same work.

    growth: bytes that the larger size may take beyond the smaller. The check is a generator: its first yield ends the
    set-up, the second the small size, the third the large one.
    """

    mode = "memory"

    def __init__(self, growth: int):
        self.growth = growth

    def judge_growth(self, small: int, large: int) -> Departure | None:
        grown = large - small
        if grown <= self.growth:
            return None
        return Departure(
            "memory",
            "growth",
            f"memory grew by {grown / 2**20:.1f} MiB from the small size to the large one; "
            f"{self.growth / 2**20:.1f} MiB are enough",
        )


class TrainsTo(Judge):
    """Held-out loss of what the check has trained, as a share of the way from the unigram loss to the exact floor.

    The check is called as check(solution, draw, text) with the bytes to train on, and returns {"state": state dict,
    "history": (records, 3) of step, loss, gradient norm}. `predict(solution, draw, state, prefixes)` gets that state in another
    worker, and returns {"log_probs": (prefixes, 256)}; it never sees what follows. share: for full points; the comment
    beside it states seeds, mean, deviation and the chance that right code fails. corpus: what `tools golden` makes the text
    from, {"tales": {"seed": 3, "size": 400_000}}; a hidden check has a seed of its own.
    """

    mode = "train"

    def __init__(self, predict: Callable, share: float, corpus: dict[str, dict], prefixes: int = 512):
        self.predict, self.share, self.corpus, self.prefixes = predict, share, corpus, prefixes

    def compare(self, seen: Observation, golden: Golden, factor: float = 1.0) -> Departure | None:
        """seen: history of the training worker, log_probs of the predicting one."""
        task = Task.of(golden)
        history, given = seen.get("history"), seen.get("log_probs")
        history = np.asarray(history.values, np.float64) if isinstance(history, Array) and history.values.ndim == 2 else None
        if history is None or history.shape[1:] != (3,):
            return Departure("history", "shape", "the check returns no history of (step, loss, gradient norm)")
        shape = (len(task.prefixes), VOCABULARY)
        if not isinstance(given, Array) or given.shape != shape:
            had = given.shape if isinstance(given, Array) else _type(given)
            return Departure("log_probs", "shape", f"log-probabilities of shape {shape} are needed; got {had}")
        course, log_probs = where_it_went(history), given.values.astype(np.float64)
        if np.isnan(log_probs).any():
            return Departure("log_probs", "nonfinite", f"the trained model predicts NaN. {course}")
        with np.errstate(over="ignore"):
            total = np.exp(log_probs).sum(axis=1)
        if np.abs(total - 1).max() > 1e-3:
            row = int(np.abs(total - 1).argmax())
            return Departure("log_probs", "value", f"the chances of the next byte sum to {total[row]:.4g}, not to 1")
        if leak := sees_its_target(task, history):
            return Departure("history", "leak", leak)
        fault = self.fault(task, _loss(task, log_probs))
        return Departure("loss", "loss", f"{fault}\n{course}") if fault else None

    def fault(self, task: Task, loss: float) -> str:
        """A sentence if the loss is not good enough, else ""."""
        if (reached := task.share(loss)) >= self.share:
            return ""
        needed = task.ceiling - self.share * (task.ceiling - task.floor)
        return (
            f"held-out loss {loss:.3f} nats per byte; at most {needed:.3f} is needed. From the unigram loss {task.ceiling:.3f} to the "
            f"exact floor {task.floor:.3f} it went {100 * reached:.1f} % of the way; {100 * self.share:.1f} % are needed."
        )


class TrainsBelow(TrainsTo):
    """Training loss on real text, whose optimum nobody knows: the mean of −ln p(the byte that does follow).

    For checks that run on request: check and `predict` as with `trains_to`. loss: nats per byte to stay below. corpus: a name
    for `corpora.load`, whose text is looked for when the check is asked for; context: bytes that the model sees. Beginnings are
    windows of that size from random places of the text to train on, cut at random places: the loss is that of random batches.
    """

    def __init__(self, predict: Callable, loss: float, corpus: str, context: int, prefixes: int = 4096):
        self.predict, self.bound, self.corpus, self.context, self.prefixes = predict, loss, corpus, context, prefixes

    def expected(self, seed: int) -> Golden:
        """The text, the beginnings and what follows them. BadInput, saying what to do, if the text is not there."""
        import corpora

        text = corpora.load(self.corpus).text.encode()
        return Task.of_text(text, self.context, self.prefixes, seed).as_golden()

    def fault(self, task: Task, loss: float) -> str:
        return "" if loss < self.bound else f"{self._told(loss)}; less than {self.bound} is needed."

    def remark(self, seen: Observation, golden: Golden) -> str:
        return self._told(_loss(Task.of(golden), seen["log_probs"].values.astype(np.float64)))

    def _told(self, loss: float) -> str:
        return f"training loss {loss:.3f} nats per byte, on {self.prefixes:,} random places of {self.corpus}"


matches_reference = MatchesReference()
satisfies = Satisfies
keeps_pace = KeepsPace
fits_in_memory = FitsInMemory
trains_to = TrainsTo
trains_below = TrainsBelow


def _loss(task: Task, log_probs: np.ndarray) -> float:
    return task.loss(np.maximum(log_probs, np.log(1e-12)))


def _structure(path: str, seen: Leaf, expected: Leaf) -> Departure | None:
    if seen is None and expected is not None:
        if _is_gradient(path):
            return Departure(
                path,
                "no gradient",
                f"no gradient reaches {_short(path)}: the output does not depend on it any more. Was it detached, or left out?",
            )
        return Departure(path, "none", f"{path} is None, expected {_type(expected)}. Is a return missing?")
    if expected is None:
        return None if seen is None else Departure(path, "type", f"{path} should be None, got {_type(seen)}")
    if (
        isinstance(seen, Alien)
        or isinstance(seen, Array) != isinstance(expected, Array)
        or (not isinstance(seen, Array) and type(seen) is not type(expected))
    ):
        return Departure(path, "type", f"{path} is {_type(seen)}, expected {_type(expected)}")
    if isinstance(expected, Array):
        if seen.shape != expected.shape:
            return Departure(path, "shape", f"{path} has shape {_shape(seen.shape)}, expected {_shape(expected.shape)}")
        if seen.dtype != expected.dtype:
            return Departure(path, "dtype", f"{path} is {seen.dtype}, expected {expected.dtype}")
    return None


def _values(path: str, seen: Leaf, expected: Expected, factor: float) -> Departure | None:
    if not is_float(expected.value):
        mine, theirs = (np.asarray(x.values if isinstance(x, Array) else x) for x in (seen, expected.value))
        off = mine != theirs
        show = str
    else:
        (mine, _), (theirs, _) = numbers(seen), numbers(expected.value)
        bad = ~np.isfinite(mine) & np.isfinite(theirs)
        if bad.any():
            return Departure(path, "nonfinite", _nonfinite(path, mine, bad, theirs))
        if gap(seen, expected.value) <= expected.tolerance * factor:
            return None
        same = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
        with np.errstate(invalid="ignore"):
            off = ~same & ~(np.abs(mine - theirs) <= expected.tolerance * factor)
        show = lambda x: f"{x:.4g}"
    if not off.any():
        return None
    first = tuple(int(i) for i in np.argwhere(off)[0]) if off.ndim else ()
    text = f"{path}{_index(first)} is the first value that departs: got {show(mine[first])}, expected {show(theirs[first])}"
    if off.ndim and off.size > 1:
        text += f"\n{off.sum()} of {off.size} values are off{_region(off)}"
        if is_float(expected.value):
            with np.errstate(invalid="ignore"):
                distance = np.nan_to_num(np.where(off, np.abs(mine - theirs), 0.0), nan=np.inf)
            where = np.unravel_index(int(distance.argmax()), distance.shape)
            text += f"; largest gap {distance.max():.3g} at {_index(tuple(int(i) for i in where))}; tolerance {expected.tolerance * factor:.1e}"
    return Departure(path, "value", text)


def _nonfinite(path: str, mine: np.ndarray, bad: np.ndarray, theirs: np.ndarray) -> str:
    first = tuple(int(i) for i in np.argwhere(bad)[0]) if bad.ndim else ()
    kind = "NaN" if np.isnan(mine[first]) else "infinite"
    count = f"; {bad.sum()} of {bad.size} values are not finite" if bad.size > 1 else ""
    return f"{path}{_index(first)} is {kind}, expected {theirs[first]:.4g}{count}"


def _region(off: np.ndarray) -> str:
    """ ", all at time-like index 3 and 4 of axis 2" where one axis tells wrong from right; nothing otherwise."""
    for axis in range(off.ndim):
        hit = np.unique(np.argwhere(off)[:, axis])
        if len(hit) < off.shape[axis] and len(hit) <= 4:
            return f", all at {' and '.join(str(int(i)) for i in hit)} of axis {axis} (of {off.shape[axis]})"
    return ""


def _is_gradient(path: str) -> bool:
    return path.startswith("grad") or ".grad" in path


def _short(path: str) -> str:
    return path.split(".", 1)[1] if "." in path else path


def _type(leaf: Leaf) -> str:
    if isinstance(leaf, Array):
        return f"a {leaf.dtype} tensor of shape {_shape(leaf.shape)}"
    return f"a {leaf.type_name}" if isinstance(leaf, Alien) else "None" if leaf is None else f"a {type(leaf).__name__}"


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _index(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""


def _list(names) -> str:
    names = list(names)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _have(seen: Observation) -> str:
    return f"there are {_list(seen)}" if seen else "nothing was returned"
