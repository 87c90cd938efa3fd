"""Contracts: may this row enter? One module an agency kind, and what leaves (releases)."""
