"""leadhub: inter-agency data exchange for Law Enforcement Assisted Diversion."""
