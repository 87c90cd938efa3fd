"""What a thief of the lake could learn: attacks on what linkage stores, each beside the quality it buys."""
