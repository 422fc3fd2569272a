"""What a browser without scripts would send of a page's form, read from its HTML."""

from __future__ import annotations

from html.parser import HTMLParser

Pairs = list[tuple[str, str]]


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pairs: Pairs = []
        self.actions: dict[str, str] = {}
        self._inside = False
        self._disabled = 0
        self._area: tuple[str, list[str]] | None = None
        self._select: tuple[str, list[tuple[str, bool]]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = given.get("id") == "editor"
            if self._inside:
                self.actions["action"] = given["action"]
        if tag == "fieldset" and ("disabled" in given or self._disabled):
            self._disabled += 1
        if not self._inside or "disabled" in given or self._disabled:
            return
        name = given.get("name", "")
        if tag == "input" and name and given.get("type") != "submit":
            ticked = given.get("type") not in ("checkbox", "radio") or "checked" in given
            if ticked:
                self.pairs.append((name, given.get("value", "on" if given.get("type") == "checkbox" else "")))
        elif tag == "textarea" and name:
            self._area = (name, [])
        elif tag == "select" and name:
            self._select = (name, [])
        elif tag == "option" and self._select:
            self._select[1].append((given.get("value", ""), "selected" in given))

    def handle_data(self, data: str) -> None:
        if self._area:
            self._area[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            text = "".join(self._area[1]).removeprefix("\n")  # a parser of HTML drops the first line end
            self.pairs.append((self._area[0], text.replace("\n", "\r\n")))
            self._area = None
        elif tag == "select" and self._select:
            name, choices = self._select
            chosen = [value for value, is_chosen in choices if is_chosen]
            self.pairs.append((name, chosen[-1] if chosen else choices[0][0] if choices else ""))
            self._select = None
        elif tag == "fieldset" and self._disabled:
            self._disabled -= 1
        elif tag == "form":
            self._inside = False


def sent(html: str) -> Pairs:
    """The names and values of the form `editor`, in order."""
    form = _Form()
    form.feed(html)
    return form.pairs


def changed(pairs: Pairs, **values: str) -> Pairs:
    """The same with other values; a name with dots is written with two underscores. New names come at the end."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    rest = [(name, value) for name, value in pairs if name not in named]
    return [*rest, *named.items()]
