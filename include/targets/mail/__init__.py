"""Mail for targets and notices: a session that knows what became of each message, and composing one."""
