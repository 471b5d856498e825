"""The report as one self-contained page: no script, nothing fetched, inert whatever a submission has printed.

Written from the JSON report alone, so a class can be shown again without grading it again. Text of a submission is escaped by
Jinja2, and a content security policy in the page forbids everything but its own style.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from autograder.report.status import Status
from autograder.report.terminal import format_points
from autograder.report.view import view_report
from autograder.text import sanitize


def render_page(report: dict[str, Any], name: str = "") -> str:
    """The page of one JSON report. name: whose it is, shown as given."""
    return environment().get_template("submission.html.j2").render(report=report, name=name, view=view_report(report))


def code(text: str) -> Markup:
    """The text, escaped, with what stands in `backticks` set as code."""
    pieces = re.split(r"`([^`\n]+)`", sanitize(text))
    return Markup("").join(Markup("<code>{}</code>").format(piece) if i % 2 else piece for i, piece in enumerate(pieces))


def _finalize(value: Any) -> Any:
    """What a template puts into the page: text made plain; markup is our own (of a macro, of `code`) and has been through here."""
    return sanitize(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def environment() -> Environment:
    """Jinja2 with all text escaped and made plain, and an error for a name that does not exist; `tools` draws with it too."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(number=format_points, code=code)
    made.globals.update(Status=Status)
    return made
