"""Landing, strict parsing, validation, quarantine: what agencies sent, and which rows may enter."""
