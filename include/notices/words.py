"""A notice as text and as HTML. Everything in it is escaped; links are given apart, since they are for one person."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from include.notices.notice import Notice, Table

AGAIN = "You may have got this message before: the answer of the mail server to the first one was lost."
_CELL = "padding:4px 12px 4px 0;border-bottom:1px solid #ddd;vertical-align:top;text-align:"


def text(notice: Notice, links: Mapping[str, str] | None = None, *, again: bool = False) -> str:
    """Return the notice as plain text. links: an address for each name; again: it may be a second copy."""
    blocks = [*([AGAIN] if again else []), *notice.said]
    blocks += [_table(table) for table in notice.tables]
    if notice.todo:
        blocks.append("What to do:\n" + "\n".join(f"- {each}" for each in notice.todo))
    blocks += [f"{name}:\n{address}" for name, address in (links or {}).items()]
    if notice.page:
        blocks.append(f"{notice.page_name}:\n{notice.page}")
    return "\n\n".join(blocks) + "\n"


def html(notice: Notice, links: Mapping[str, str] | None = None, *, again: bool = False) -> str:
    """Return the notice as an HTML document that needs nothing from elsewhere."""
    paragraphs = [*([AGAIN] if again else []), *notice.said]
    body = [f"<h2 style='font-size:18px'>{escape(notice.title)}</h2>"]
    body += [f"<p>{escape(each)}</p>" for each in paragraphs]
    body += [_html_table(table) for table in notice.tables]
    if notice.todo:
        body.append("<p><b>What to do</b></p><ul>")
        body += [*(f"<li>{escape(each)}</li>" for each in notice.todo), "</ul>"]
    offered = [*(links or {}).items(), *([(notice.page_name, notice.page)] if notice.page else [])]
    body += [f'<p><a href="{escape(address)}">{escape(name)}</a></p>' for name, address in offered]
    style = "font-family:Arial,Helvetica,sans-serif;font-size:14px;color:#222"
    return f"<!doctype html><html><body style='{style}'>{''.join(body)}</body></html>\n"


def _table(table: Table) -> str:
    """Return a row a line, with its head's words where a row alone would not be understood."""
    lines = [f"{table.title}:"]
    for row in table.rows:
        first, *others = row
        told = [
            f"{name}: {value}" if name else value
            for name, value in zip(table.head[1:], others, strict=True)
            if value
        ]
        lines.append(f"- {first}" + (f"; {'; '.join(told)}" if told else ""))
    return "\n".join(lines)


def _html_table(table: Table) -> str:
    def cells(row: tuple[str, ...], tag: str) -> str:
        sides = ("right" if place in table.numbers else "left" for place in range(len(row)))
        pairs = zip(sides, row, strict=True)
        return "".join(f"<{tag} style='{_CELL}{side}'>{escape(value)}</{tag}>" for side, value in pairs)

    rows = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in table.rows)
    head = f"<tr>{cells(table.head, 'th')}</tr>"
    return f"<p><b>{escape(table.title)}</b></p><table style='border-collapse:collapse'>{head}{rows}</table>"
