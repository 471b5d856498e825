"""The report as one self-contained page. It runs no script and fetches nothing, whatever a submission has printed.

The page is made from the JSON report alone, so that a class can be shown again without being graded again. Jinja2 escapes
text of a submission. A content security policy in the page forbids everything but the page's own style.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from autograder.report.status import Status
from autograder.report.view import format_points, view_report
from autograder.text import sanitize


def render_page(report: dict[str, Any], name: str = "") -> str:
    """The page of a report.

    report: the JSON report.
    name: whose it is, shown as given.
    """
    template = templates().get_template("submission.html.j2")
    return template.render(report=report, name=name, view=view_report(report))


def code(text: str) -> Markup:
    """The text, escaped, with what stands in `backticks` set as code."""
    pieces = re.split(r"`([^`\n]+)`", sanitize(text))  # every second piece stood in backticks
    return Markup("").join(Markup("<code>{}</code>").format(piece) if i % 2 else piece for i, piece in enumerate(pieces))


def _finalize(value: Any) -> Any:
    """A value as a template puts it into the page. Text is sanitized. Markup is our own and was sanitized when it was made."""
    return sanitize(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def templates() -> Environment:
    """Jinja2 for the pages of this folder and of `tools`. All text is escaped, and a name that does not exist is an error."""
    jinja = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters.update(number=format_points, code=code)
    jinja.globals.update(Status=Status)
    return jinja
