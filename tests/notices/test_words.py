"""Rule: what a notice says is text wherever it is shown: nothing in it becomes markup, and nothing is lost."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import example, given
from hypothesis import strategies as st

from include.notices import words
from include.notices.notice import Notice, Table, readable

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
MARKUP = "<img src='x' onerror=\"y\">&amp;"
OURS = {"html", "body", "h2", "p", "b", "ul", "li", "table", "tr", "th", "td", "a"}


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += data


@example(title=MARKUP, said=MARKUP, cell=MARKUP, todo=MARKUP, link=MARKUP)
@given(title=TEXTS, said=TEXTS, cell=TEXTS, todo=TEXTS, link=TEXTS)
def test_texts_stay_texts(title: str, said: str, cell: str, todo: str, link: str) -> None:
    table = Table(title="Files", head=("file", "rows"), rows=((cell, "1"),), numbers=(1,))
    notice = Notice(
        event="failed", title=title, said=(said,), tables=(table,), todo=(todo,), page="https://a/b?c=1&d=2"
    )
    address = f"https://a/{link}"
    reader = Reader()
    reader.feed(words.html(notice, {link: address}))
    assert reader.tags <= OURS
    assert reader.links == [address, "https://a/b?c=1&d=2"]
    assert all(text in reader.text for text in (title, said, cell, todo, link))
    plain = words.text(notice, {link: address}, again=True)
    assert all(text in plain for text in (said, cell, todo, address, words.AGAIN))


def test_a_period_is_written_as_people_write_it():
    assert readable("2026-05-25T0900_2026-06-01T090030") == "2026-05-25 09:00 to 2026-06-01 09:00:30"
    assert readable("2026-05") == "2026-05"
