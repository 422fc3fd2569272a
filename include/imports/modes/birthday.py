"""Birthday: members get a birthday, month and day; nothing is booked."""

from include.imports.modes.mode import MEMBER, MEMBERS, ModeFile

KIND = "birthday"
_HEADER = "Birthday(MM/DD)"

MODE = ModeFile(
    KIND,
    "Set birthdays",
    "Each member gets the birthday of the row, as 03/03. A row without one changes nothing.",
    {**MEMBERS, "birthday": (_HEADER,)},
    required=(MEMBER, ("birthday",)),
    example=(("Email", _HEADER), ("ada@example.com", "12/10"), ("grace@example.com", "02/29")),
    exact=frozenset({"birthday"}),
)
