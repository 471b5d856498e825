"""The class on one page: scores, points for each part, known mistakes, similar files, and what was not graded.

The page can be made without names. Submissions are then told apart by their scores alone: it holds no name, number,
e-mail address, folder or link, and their order says nothing about their names.
"""

import hashlib
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from autograder.assignment import Course
from autograder.judge.reason import Reason
from autograder.report.hints import hints
from autograder.report.html import templates
from autograder.report.status import Status
from tools.batch.gradebook import Entry, Gradebook

BINS, WIDTH, HEIGHT = 10, 640, 140  # of the histogram, sizes in units of the drawing


def render_class_page(book: Gradebook, links: dict[str, str], names: bool = True) -> str:
    """The page as HTML.

    book: holds at least one entry.
    links: where the page of each submission lies, by key.
    names: whether the page shows who is who.
    """
    entries = book.entries if names else sorted(book.entries, key=_without_order)
    who = {entry.key: entry.who if names else f"submission {i}" for i, entry in enumerate(entries, 1)}
    full = max((entry.report["max_score"] for entry in entries), default=0)
    slowest = sorted(entries, key=lambda entry: -entry.seconds)[:3]
    template = templates().get_template("class.html.j2")
    return template.render(
        book=book,
        names=names,
        **_summary(book, full),
        bars=bars([entry.score for entry in entries], full),
        ticks=[{"x": i * WIDTH / BINS, "label": f"{full * i / BINS:g}"} for i in range(BINS + 1)],
        mistakes=_mistakes(book),
        parts=_parts(book),
        checks=_checks(book),
        changes=_changes(book, who),
        pairs=_pairs(book, who),
        copies=[{"who": who[key], "sentence": sentence} for key, sentence in book.copies],
        problems=_problems(book, entries, who, names),
        rows=[_row(entry, who, links, names) for entry in entries],
        slowest=[{"who": who[entry.key], "seconds": entry.seconds} for entry in slowest],
    )


def _without_order(entry: Entry) -> tuple[float, bytes]:
    """Best first. Equal scores stand in the order of a digest, because folders are often sorted by name."""
    return -entry.score, hashlib.sha256(entry.key.encode(errors="surrogatepass")).digest()


def _summary(book: Gradebook, full: float) -> dict[str, Any]:
    """The figures at the top of the page. full: points that can be reached."""
    scores = [entry.score for entry in book.entries]
    levels = sorted({entry.report["isolation_level"] for entry in book.entries if not entry.refused})
    return {
        "total": len(scores),
        "full": full,
        "median": statistics.median(scores),
        "mean": statistics.mean(scores),
        "lowest": min(scores),
        "perfect": sum(score >= full for score in scores),
        "levels": ", ".join(map(str, levels)) or "none",
    }


def bars(scores: Sequence[float], full: float) -> list[dict[str, Any]]:
    """The histogram, a bar for each tenth of the points. The last bar also counts those who have all points.

    full: points that can be reached.
    """
    counts = Counter(min(BINS - 1, int(BINS * score / (full or 1))) for score in scores)
    most, step = max(counts.values(), default=1), WIDTH / BINS
    heights = [round(HEIGHT * counts[i] / most, 1) for i in range(BINS)]
    return [
        {
            "x": round(i * step + 6, 1),
            "y": round(HEIGHT + 22 - height, 1),
            "width": round(step - 12, 1),
            "height": height,
            "middle": round((i + 0.5) * step, 1),
            "count": counts[i],
            "label": f"{full * i / BINS:g}–{full * (i + 1) / BINS:g}",
        }
        for i, height in enumerate(heights)
    ]


def _mistakes(book: Gradebook) -> list[dict[str, Any]]:
    """Each misconception with the number of submissions that show it, the most frequent first."""
    known = hints(Course.here().load(book.assignment).folder / "tests")
    counts = Counter(name for e in book.entries for name in {c["misconception"] for c in e.report["checks"]} - {None})
    rows = []
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        hint = known.get(name)
        pitfall = f", pitfall {hint.pitfall}" if hint and hint.pitfall else ""
        section = f"{hint.section}{pitfall}" if hint else ""
        rows.append({"name": name, "text": hint.text if hint else name, "section": section, "count": count})
    return rows


def _parts(book: Gradebook) -> list[dict[str, Any]]:
    """Points for each part over all submissions."""
    columns: dict[str, list[dict[str, Any]]] = {}
    for entry in book.entries:
        for part in entry.report["parts"]:
            columns.setdefault(part["name"], []).append(part)
    return [
        {
            **{key: column[0][key] for key in ("name", "number", "title")},
            "mean": statistics.mean(part["points"] for part in column),
            "full": column[0]["max_points"],
            "all": sum(part["points"] >= part["max_points"] - 1e-6 for part in column),
            "none": sum(part["points"] == 0 for part in column),
        }
        for column in columns.values()
    ]


def _checks(book: Gradebook) -> list[dict[str, Any]]:
    """Checks by the number of submissions that fail them. Parts that were never written are left out."""
    rows = [c for e in book.entries for c in e.report["checks"] if c["status"] == Status.FAILED and c["reason"] != Reason.TODO]
    by_id = {row["id"]: row for row in rows}
    return [{**by_id[name], "count": count} for name, count in Counter(row["id"] for row in rows).most_common()]


def _changes(book: Gradebook, who: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"who": who.get(change.key, "?"), "before": change.before, "after": change.after, "checks": change.checks}
        for change in book.changes or []
    ]


def _pairs(book: Gradebook, who: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "file": pair.file,
            "first": who[pair.keys[0]],
            "second": who[pair.keys[1]],
            "shares": [round(100 * share) for share in pair.shares],
            "tokens": pair.tokens,
        }
        for pair in book.pairs
    ]


def _row(entry: Entry, who: dict[str, str], links: dict[str, str], names: bool) -> dict[str, Any]:
    """A submission in the table at the end. Without names it has neither a link nor a time of submission."""
    return {
        "who": who[entry.key],
        "link": links[entry.key] if names else "",
        "score": entry.score,
        "seconds": entry.seconds,
        "created_at": re.sub(r":\d\d\.\d+", "", entry.created_at) if names else "",
    }


def _problems(book: Gradebook, entries: list[Entry], who: dict[str, str], names: bool) -> list[str]:
    """Submissions that were not graded, or not completely, and what does not fit together in the export."""
    lines = list(book.missing) if names else [f"{len(book.missing)} folders and names do not fit together"] * bool(book.missing)
    lines += _not_graded_here(entries)
    for entry in entries:
        lines += _problems_of(entry, who[entry.key], names)
    return lines + (book.not_compared if names else [])


def _not_graded_here(entries: list[Entry]) -> list[str]:
    """A sentence on the points that another machine would show. They lie outside the total, so the class reads it once."""
    points = max(entry.report["not_graded_here"] for entry in entries)
    if not points:
        return []
    return [
        f"Some checks need a device that is not here. Their {points:g} points lie outside the total, so no score depends on them."
    ]


def _problems_of(entry: Entry, who: str, names: bool) -> list[str]:
    """What is to be looked after in one submission."""
    fault = f"{who}: {entry.faults} checks met a fault of the grader; their points are granted, grade it again"
    return [
        *([f"{who}: not graded{f', {entry.refused}' if names else ''}"] if entry.refused else []),
        *([f"{who}: its time was up before every check had its turn"] if entry.report.get("interrupted") else []),
        *([fault] if entry.faults else []),
    ]
