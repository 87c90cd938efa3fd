"""The county's agencies: what happened (`story`), and what each of their systems holds of it on a night."""
