"""SSH for targets: logging in to a host whose key is known, and SFTP that is fast and never waits without end."""
