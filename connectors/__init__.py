"""How to read from, and deliver to, one kind of system: sql, rest, sftp."""
