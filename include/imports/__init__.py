"""Points and birthdays into a ledger: files read, members matched, rehearsed, posted once, taken back."""
