"""Yes or no, with citation, for each row and column: agreements and consent."""
