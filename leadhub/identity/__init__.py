"""From identifiers to stable person ids: normalise, tokens, linkage, crosswalk."""
