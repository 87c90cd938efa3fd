"""Tables of tokens in, scored pairs and clusters out."""
