"""The identifier columns that person tables share."""

from leadhub.foundation.vocabulary import Protection, Sensitivity
from schemas.contract import column


def identifier(kind: str, description: str, *, nullable: bool = True, protection: Protection, **checks):
    """A column that names a person: tokenised by `kind`, then gone."""
    return column(
        description,
        sensitivity=Sensitivity.IDENTIFIER,
        kind=kind,
        nullable=nullable,
        protection=protection,
        **checks,
    )


def local_id(description: str, *, protection: Protection = Protection.CJI_NONCHRI, **checks):
    """An id that only the issuing agency knows."""
    return column(description, sensitivity=Sensitivity.LOCAL_ID, protection=protection, **checks)


def shared_id(kind: str, description: str, *, nullable: bool = False, protection=Protection.CJI_NONCHRI):
    """An id that one agency issues and others quote."""
    return column(
        description,
        sensitivity=Sensitivity.SHARED_ID,
        kind=kind,
        nullable=nullable,
        protection=protection,
        str_length={"min_value": 3, "max_value": 40},
    )
