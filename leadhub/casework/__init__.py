"""What agencies say about one diversion becomes one record and a list of disagreements."""
