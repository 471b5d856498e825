"""The class on one page: scores, points part by part, which misconceptions how many have, similar files, what was not graded.

Without names it shows submissions by their scores alone: no name, sid, e-mail, folder, link or order of names stands in it.
"""

import hashlib
import re
import statistics
from collections import Counter

from autograder.assignment import Course
from autograder.report.hints import hints
from autograder.report.html import environment
from tools.batch.gradebook import Entry, Gradebook

BINS, WIDTH, HEIGHT = 10, 640, 140


def render_class_page(book: Gradebook, links: dict[str, str], names: bool = True) -> str:
    """The page. links: where the page of each submission lies, by key; names: whether it shows who is who."""
    entries = book.entries if names else sorted(book.entries, key=_without_order)
    who = {e.key: e.who if names else f"submission {i}" for i, e in enumerate(entries, 1)}
    scores = [e.score for e in entries]
    full = max((e.report["max_score"] for e in entries), default=0)
    slowest = sorted(entries, key=lambda e: -e.seconds)[:3]
    return (
        environment()
        .get_template("class.html.j2")
        .render(
            book=book,
            names=names,
            total=len(scores),
            full=full,
            median=statistics.median(scores),
            mean=statistics.mean(scores),
            lowest=min(scores),
            perfect=sum(score >= full for score in scores),
            levels=", ".join(map(str, sorted({e.report["isolation_level"] for e in book.entries if not e.refused}))) or "none",
            bars=bars(scores, full),
            ticks=[{"x": i * WIDTH / BINS, "label": f"{full * i / BINS:g}"} for i in range(BINS + 1)],
            mistakes=_mistakes(book),
            parts=_parts(book),
            checks=_checks(book),
            changes=[
                {"who": who.get(c.key, "?"), "before": c.before, "after": c.after, "checks": c.checks} for c in book.changes or []
            ],
            pairs=[
                {
                    "file": pair.file,
                    "first": who[pair.keys[0]],
                    "second": who[pair.keys[1]],
                    "shares": [round(100 * share) for share in pair.shares],
                    "tokens": pair.tokens,
                }
                for pair in book.pairs
            ],
            problems=_problems(book, entries, who, names),
            rows=[
                {
                    "who": who[e.key],
                    "link": links[e.key] if names else "",
                    "score": e.score,
                    "seconds": e.seconds,
                    "created_at": re.sub(r":\d\d\.\d+", "", e.created_at) if names else "",
                }
                for e in entries
            ],
            slowest=[{"who": who[e.key], "seconds": e.seconds} for e in slowest],
        )
    )


def _without_order(entry: Entry) -> tuple:
    """Best first. Folders are often sorted by name, so equal scores stand in an order that has nothing to do with it."""
    return -entry.score, hashlib.sha256(entry.key.encode(errors="surrogatepass")).digest()


def bars(scores: list[float], full: float) -> list[dict]:
    """The histogram: a bar for each tenth of the points; the last one holds those who have all of them too."""
    counts = Counter(min(BINS - 1, int(BINS * score / (full or 1))) for score in scores)
    most, step = max(counts.values(), default=1), WIDTH / BINS
    found = []
    for i in range(BINS):
        height = round(HEIGHT * counts[i] / most, 1)
        label = f"{full * i / BINS:g}–{full * (i + 1) / BINS:g}"
        found.append(
            {
                "x": round(i * step + 6, 1),
                "y": round(HEIGHT + 22 - height, 1),
                "width": round(step - 12, 1),
                "height": height,
                "middle": round((i + 0.5) * step, 1),
                "count": counts[i],
                "label": label,
            }
        )
    return found


def _mistakes(book: Gradebook) -> list[dict]:
    """Each misconception with the number of submissions that show it."""
    known = hints(Course.here().load(book.assignment).folder / "tests")
    counts = Counter(name for e in book.entries for name in {c["misconception"] for c in e.report["checks"]} - {None})
    return [
        {
            "name": name,
            "text": known[name].text if name in known else name,
            "section": f"{known[name].section}{f', pitfall {known[name].pitfall}' if known[name].pitfall else ''}" if name in known else "",
            "count": count,
        }
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]  # fmt: skip


def _parts(book: Gradebook) -> list[dict]:
    columns: dict[str, list[dict]] = {}
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


def _checks(book: Gradebook) -> list[dict]:
    """Checks by the number of submissions that fail them; what was never written is left out."""
    rows = [c for e in book.entries for c in e.report["checks"] if c["status"] == "failed" and c["reason"] != "todo"]
    shown = {c["id"]: c for c in rows}
    return [{**shown[name], "count": count} for name, count in Counter(c["id"] for c in rows).most_common()]


def _problems(book: Gradebook, entries: list[Entry], who: dict[str, str], names: bool) -> list[str]:
    """Submissions that were not graded, or not wholly, and what of the export does not fit together."""
    lines = list(book.missing) if names else [f"{len(book.missing)} folders and names do not fit together"] * bool(book.missing)
    for entry in entries:
        lines += _problems_of(entry, who[entry.key], names)
    return lines + (book.not_compared if names else [])


def _problems_of(entry: Entry, who: str, names: bool) -> list[str]:
    faults = sum(c["status"] == "grader_fault" for c in entry.report["checks"])
    absent = entry.report["not_graded_here"]
    return [
        *([f"{who}: not graded{f', {entry.refused}' if names else ''}"] if entry.refused else []),
        *([f"{who}: its time was up before every check had its turn"] if entry.report.get("interrupted") else []),
        *([f"{who}: {faults} checks met a fault of the grader; their points are granted, grade it again"] if faults else []),
        *([f"{who}: {absent:g} points need a device that is not here"] if absent else []),
    ]
