"""A synthetic county with known truth, and its agencies as real servers. The core never imports it."""
