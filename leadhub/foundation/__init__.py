"""What every room stands on: errors, settings, clock, files, keys, lake, ledger."""
