"""Reset: the points of a row become the balance; the difference is booked as an adjustment."""

from include.imports.modes.mode import ACCOUNTS, BALANCES, MEMBER, ModeFile, Sign

KIND = "reset"

MODE = ModeFile(
    KIND,
    "Reset balances",
    "The points of each row become the member's balance: active points less debt. Pending points stay.",
    {
        **ACCOUNTS,
        "points": ("Points", *BALANCES),
        "expected_points": ("expected_balance",),
        "reason": ("Reason",),
    },
    required=(MEMBER, ("points",)),
    example=(
        ("Email", "Points", "expected_balance", "Reason"),
        ("ada@example.com", "1200", "1150", "Moved from the old program"),
        ("grace@example.com", "0", "80.25", "Moved from the old program"),
    ),
    sign=Sign.UNSIGNED_PLUS,
)
