"""Points with their dates, as Talon.One's import of points reads them: each row is a lot of its own."""

from include.imports.modes.mode import ACCOUNTS, MEMBER, ModeFile, Sign

KIND = "points"

MODE = ModeFile(
    KIND,
    "Import points with dates",
    "Each row is new points with a start, an expiry or a duration, a subledger and a reason, as Talon.One has them.",
    {
        **ACCOUNTS,
        "points": ("amount", "Points"),
        "activates_at": ("startdate",),
        "expires_at": ("expirydate",),
        "validity": ("validityDuration",),
        "reason": ("reason",),
    },
    required=(MEMBER, ("points",)),
    example=(
        (
            "customerprofileid",
            "amount",
            "startdate",
            "expirydate",
            "validityDuration",
            "subledgerid",
            "reason",
        ),
        ("customer-1", "100", "immediate", "unlimited", "", "", "Winter sale"),
        ("customer-2", "50", "2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z", "", "", "New year"),
        ("customer-3", "25.50", "immediate", "", "10M", "", "Winter sale"),
        ("customer-4", "10", "immediate", "", "30D_U", "", "Winter sale"),
    ),
    sign=Sign.POSITIVE,
)
