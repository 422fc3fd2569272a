"""What an API answers about one customer or card: accounts, balances and transactions, read from the ledger now."""
