"""What partners get: packaging, signing, delivery, receipts."""
