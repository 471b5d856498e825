"""The figures of `verify` as one page of text."""

from collections.abc import Iterable, Iterator

from tools.author.verification import (
    CheckNoise,
    ExtraGrade,
    MisconceptionGrade,
    MutantCounts,
    SeedGrades,
    Verification,
)


def render_verification(result: Verification) -> str:
    """The page."""
    return "\n".join(_lines(result))


def _lines(result: Verification) -> Iterator[str]:
    reference = result.reference
    yield f"# {result.assignment}: {result.title}"
    yield ""
    yield (
        f"{result.checks} checks. Reference {reference.score:g} in {reference.seconds} s, "
        f"{reference.peak_pss_mb} MB (PSS of the whole tree, verify itself included). Stubs {result.stubs:g}."
    )
    yield from ("", "## Alternates", *(f"{score:6g}  {name}" for name, score in result.alternates.items()))
    yield from _misconceptions(result.misconceptions)
    yield from _noise(result.noise)
    if result.idle:
        yield from ("", "Checks that no misconception fails: " + ", ".join(result.idle))
    if result.mutants:
        yield from _mutants(result.mutants)
    if result.seeds:
        yield from _seeds(result.seeds)
    yield from _extra(result.extra or ())
    yield from ("", "## Problems" if result.problems else "No problems.", *(f"- {problem}" for problem in result.problems))


def _misconceptions(rows: list[MisconceptionGrade]) -> Iterator[str]:
    killed, named = (sum(map(bool, column)) for column in ([r.killed_by for r in rows], [r.named_by for r in rows]))
    yield from ("", f"## Misconceptions: {len(rows)}, {killed} killed in their module, {named} named")
    yield " score  collateral  named by / killed by"
    for row in rows:
        first = (row.named_by or row.killed_by or ["NOT KILLED"])[0]
        counts = f"{len(row.named_by)}/{len(row.killed_by)}"
        yield f"{row.score:6g}  {row.collateral:10g}  {counts}  {row.target}: {row.name}  ← {first}"


def _noise(rows: list[CheckNoise]) -> Iterator[str]:
    yield from ("", "## Noise and tolerance", "   noise  tolerance  nearest mistake (tolerances)  check")
    for row in rows:
        nearest = "-" if row.nearest is None else f"{row.nearest:.3g}"
        yield f"{row.noise:8.1e}  {row.tolerance:8.1e}  {nearest:>10} of {row.wrong:2}  {row.check}"


def _mutants(counts: MutantCounts) -> Iterator[str]:
    equivalent = len(counts.equivalent)
    yield ""
    yield (
        f"## Mutants: {counts.killed} of {counts.tried - equivalent} killed ({counts.share:.1%}); "
        f"{counts.sites} possible, {equivalent} equivalent as reviewed"
    )
    yield from (f"  survives: {survivor}" for survivor in counts.survivors)
    yield from (f"  equivalent: {survivor}" for survivor in counts.equivalent)


def _seeds(seeds: SeedGrades) -> Iterator[str]:
    yield from ("", f"## Seeds: {seeds.grades} grades, {len(seeds.flaky)} flaky")


def _extra(rows: Iterable[ExtraGrade]) -> Iterator[str]:
    for row in rows:
        yield from ("", f"extra {row.case}: {row.score:g}", *(f"   {check.check}: {check.shown}" for check in row.failed))
