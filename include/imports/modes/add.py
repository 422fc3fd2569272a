"""Add: the points of a row are added to what the member has; a number below zero takes points away."""

from include.imports.modes.mode import ACCOUNTS, BALANCES, MEMBER, ModeFile

KIND = "add"

MODE = ModeFile(
    KIND,
    "Add points",
    "The points of each row are added to the member's balance; -300 takes 300 away.",
    {
        **ACCOUNTS,
        "points": ("Points", "amount"),
        "expected_points": ("expected_balance",),
        "reason": ("Reason",),
    },
    required=(MEMBER, ("points",)),
    example=(
        ("Email", "Points", "Reason"),
        ("ada@example.com", "100", "Thank you"),
        ("grace@example.com", "-25.50", "Correction"),
    ),
    renamed=dict.fromkeys(
        BALANCES, "is a balance, and adding it would double it; name the column Points if you mean it"
    ),
)
