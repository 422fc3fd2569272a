"""How cells of a workbook look: one numbered style for each kind of value, the same in every workbook."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from include.ledger.catalog import FieldType

HEADER, TEXT = 1, 2
_GENERAL, _AS_TEXT = "General", "@"
_DAYS = {"iso8601": "yyyy-mm-dd", "dd/mm/yyyy": "dd/mm/yyyy", "mm/dd/yyyy": "mm/dd/yyyy"}
_CLOCKS = {"seconds": " hh:mm:ss", "milliseconds": " hh:mm:ss.000"}
_NUMBERS = {
    (FieldType.POINTS, "fixed"): "#,##0.00",
    (FieldType.MONEY, "fixed"): "#,##0.00##",
    (FieldType.INTEGER, "fixed"): "0",
    (FieldType.INTEGER, "plain"): "0",
}
# By place: 0 is the default that every workbook has. A text stays a text when a person edits it: that is what @ does.
_FORMATS = [
    _GENERAL, _GENERAL, _AS_TEXT, "#,##0.00", "#,##0.00##", "0",
    *_DAYS.values(), *(days + clock for clock in _CLOCKS.values() for days in _DAYS.values()),
]  # fmt: skip
_FIRST_OWN = 164  # numbers below are the program's


def style_of(kind: FieldType, *, points: str, dates: str, instants: str) -> int:
    """Return the number of a type's style; the others are what `sheet.Look` says."""
    if kind is FieldType.DATE:
        return _FORMATS.index(_DAYS[dates])
    if kind is FieldType.INSTANT:
        return _FORMATS.index(_DAYS[dates] + _CLOCKS[instants])
    if kind in {FieldType.POINTS, FieldType.MONEY, FieldType.RATE, FieldType.INTEGER}:
        return _FORMATS.index(_NUMBERS.get((kind, points), _GENERAL))
    return 0 if kind is FieldType.BOOLEAN else TEXT


def styles_part() -> bytes:
    """Return xl/styles.xml."""
    own = sorted({text for text in _FORMATS if text != _GENERAL})
    numbers = {_GENERAL: 0} | {text: _FIRST_OWN + place for place, text in enumerate(own)}
    formats = "".join(f'<numFmt numFmtId="{numbers[text]}" formatCode={quoteattr(text)}/>' for text in own)
    cells = "".join(
        f'<xf numFmtId="{numbers[text]}" fontId="{int(place == HEADER)}" fillId="0" borderId="0" xfId="0"'
        ' applyNumberFormat="1" applyFont="1"/>'
        for place, text in enumerate(_FORMATS)
    )
    font = '<sz val="11"/><name val="Calibri"/><family val="2"/>'
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        '<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f'<numFmts count="{len(own)}">{formats}</numFmts>'
        f'<fonts count="2"><font>{font}</font><font><b/>{font}</font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="{len(_FORMATS)}">{cells}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
        "</styleSheet>"
    ).encode()
