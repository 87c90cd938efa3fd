"""Names for synthetic people: surnames and given names of the 1990 US Census, tilted by birth year.

Source: the Census Bureau's dist.all.last, dist.male.first and dist.female.first (public domain), as in
the PyPI package `names`. Which names belong to which years is written here from common knowledge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

FIRST_DECADE, LAST_DECADE = 1920, 2020
COINED_SURNAMES = 60_000
COINED_MASS = 0.08  # the census list covers about nine people in ten
SPREAD_YEARS = 13.0  # standard deviation of a name's fashion

# year of greatest fashion: women's names | men's names
FASHION = {
    1922: "MARY HELEN DOROTHY RUTH MILDRED ANNA ELSIE FLORENCE ETHEL LILLIAN GLADYS EDNA ROSE HAZEL"
    " THELMA BERTHA|JOHN WALTER HAROLD HENRY FRED ALBERT CLARENCE HARRY ERNEST HERBERT ELMER"
    " LEWIS EARL CHESTER HERMAN LESTER",
    1935: "BETTY BARBARA SHIRLEY JOAN DORIS MARILYN NORMA LOIS BEVERLY PHYLLIS WANDA PEGGY JOYCE"
    " EVELYN JUNE ALMA|DONALD RICHARD CHARLES GEORGE RAYMOND EUGENE RALPH BOBBY BILLY GERALD JACK"
    " NORMAN LEROY MARVIN CLIFFORD",
    1950: "LINDA PATRICIA SUSAN DEBORAH SANDRA CAROL NANCY SHARON KAREN DIANE JANET JUDY KATHLEEN"
    " BRENDA PAMELA GLORIA CONNIE CYNTHIA DEBRA GAIL JANICE RITA SHEILA KATHY|JAMES ROBERT LARRY"
    " GARY DENNIS RONALD JERRY ROGER STEPHEN KENNETH BRUCE DOUGLAS GREGORY TERRY RANDY DANNY"
    " WAYNE GLENN DALE LLOYD",
    1964: "LISA LORI TAMMY DONNA CHERYL TERESA DEBBIE LAURA JULIE ROBIN TINA DAWN RHONDA KELLY"
    " KIMBERLY DENISE MICHELLE JACQUELINE PAULA WENDY TONYA YOLANDA|MARK DAVID STEVEN SCOTT"
    " JEFFREY TIMOTHY KEVIN TODD CRAIG KEITH DARRELL DEAN TROY CURTIS TONY RICKY RODNEY DARRYL"
    " PAUL MICHAEL",
    1977: "JENNIFER AMY MELISSA HEATHER ANGELA STEPHANIE CHRISTINA NICOLE REBECCA SHANNON ERIN APRIL"
    " CARRIE JAMIE CRYSTAL MONICA TARA LATOYA TAMIKA HOLLY MISTY STACY KEISHA|JASON CHRISTOPHER"
    " BRIAN JEREMY ERIC CHAD SHAWN BRANDON AARON NATHAN JAMIE DEREK MARCUS COREY HEATH SHANE"
    " TRAVIS JAMAL DAMON ANTOINE",
    1989: "JESSICA ASHLEY AMANDA BRITTANY SARAH SAMANTHA LAUREN MEGAN DANIELLE RACHEL COURTNEY AMBER"
    " KAYLA CHELSEA TIFFANY KATHERINE KELSEY ALEXANDRA VANESSA JASMINE BIANCA|JOSHUA MATTHEW"
    " ANDREW JUSTIN DANIEL TYLER RYAN KYLE CODY DUSTIN SEAN ALEX JORDAN TREVOR ZACHARY JOSE BRETT"
    " DARIUS CASEY GARRETT",
    2002: "EMILY MADISON HANNAH ALEXIS TAYLOR ABIGAIL OLIVIA SYDNEY BRIANNA MORGAN DESTINY SIERRA"
    " HAILEY PAIGE MARIAH SAVANNAH KAITLYN MAKAYLA TRINITY JADA ISABELLA|JACOB ETHAN AUSTIN"
    " CHRISTIAN DYLAN CAMERON HUNTER LOGAN CALEB ELIJAH ISAIAH NOAH ANGEL CONNOR ISAAC LUIS"
    " XAVIER TANNER DEVIN MALIK",
    2014: "SOPHIA EMMA AVA MIA CHARLOTTE HARPER AMELIA EVELYN ZOE AUBREY LAYLA NEVAEH ARIA LILY CHLOE"
    " NORA HAZEL SKYLAR PENELOPE CAMILA LUNA|LIAM MASON JAYDEN AIDEN LUCAS OLIVER JACKSON WYATT"
    " CARTER HENRY LEVI OWEN GRAYSON ASHER MATEO LEO JAXON HUDSON AYDEN KINGSTON MILES",
}
NEWCOMER_PERCENT = 0.35  # share of a fashionable name that the 1990 list does not hold
UNFASHIONED = 0.45  # weight of names without a fashion, beside those at their height
ONSETS = "B BR C CH D DR F G GR H J K KR L M N P PR R S SCH SH ST T TR V W Z KL SZ"
VOWELS = "A E I O U AI EA IE OU EI AU"
ENDINGS = "SON MAN SKI SKY BERG STEIN ER EN INI ELLI OVIC ENKO LEY TON FORD WELL ARD EAU IAN OGLU NEN"
HISPANIC_TEXT = (
    "GARCIA RIVERA TORRES FLORES DIAZ CRUZ REYES MORALES ORTIZ RAMOS RUIZ CASTILLO MORENO ROMERO"
    " HERRERA MEDINA AGUILAR VEGA CASTRO VARGAS MENDOZA GUERRERO ROJAS SOTO CONTRERAS SALAZAR DELGADO"
    " RIOS ORTEGA GUZMAN MUNOZ SANTIAGO ESTRADA ACOSTA MIRANDA CABRERA CAMPOS LEON SOSA AVILA CARRILLO"
    " FUENTES CERVANTES ESPINOZA"
)
HISPANIC = frozenset(HISPANIC_TEXT.split())


@dataclass(frozen=True)
class Pool:
    """Weighted values: `values` (n,) text, `cumulative` (n,) rising to 1."""

    values: np.ndarray
    cumulative: np.ndarray

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """`count` positions in `values`, by weight."""
        return np.searchsorted(self.cumulative, rng.random(count), side="right").astype(np.int32)


def pool(values: list[str], weights: np.ndarray) -> Pool:
    cumulative = np.cumsum(weights / weights.sum())
    cumulative[-1] = 1.0
    return Pool(np.array(values, dtype=object), cumulative)


@cache
def surnames() -> Pool:
    """About 149,000, frequent ones first; past rank 1,000 the rounded shares become a power law."""
    listed = list(_distribution("dist.all.last"))
    rank = np.arange(1, len(listed) + 1)
    share = np.array([percent for _, percent in listed])
    share = np.where(rank <= 1000, share, 0.012 * (1000 / rank) ** 1.08)
    known = [name for name, _ in listed]
    coined = _coined(np.random.default_rng(1990), COINED_SURNAMES, frozenset(known))
    tail = np.full(len(coined), COINED_MASS * share.sum() / (1 - COINED_MASS) / len(coined))
    return pool(known + coined, np.concatenate([share, tail]))


@cache
def given() -> tuple[list[str], dict[tuple[int, int], Pool]]:
    """One vocabulary for both sexes, and for each (sex 0=F 1=M, decade) a pool over it."""
    tables = [_fashioned(sex) for sex in (0, 1)]
    vocabulary = sorted(set(tables[0]) | set(tables[1]))
    decades = range(FIRST_DECADE, LAST_DECADE + 1, 10)
    return vocabulary, {
        (sex, decade): pool(vocabulary, _tilted(vocabulary, tables[sex], decade + 5))
        for sex in (0, 1)
        for decade in decades
    }


def is_hispanic(surname: str) -> bool:
    """A crude sign, enough to make surnames and group depend on each other."""
    return surname in HISPANIC or (surname.endswith("EZ") and len(surname) > 4)


def _distribution(file: str) -> Iterator[tuple[str, float]]:
    """(NAME, percent of people), most frequent first."""
    import names  # here, so that a set already made can be read without it

    for line in (Path(names.__file__).parent / file).read_text().splitlines():
        name, percent, *_ = line.split()
        yield name, float(percent)


def _fashioned(sex: int) -> dict[str, tuple[float, float | None]]:
    """name → (percent, year of fashion or None)."""
    file = "dist.female.first" if sex == 0 else "dist.male.first"
    table: dict[str, tuple[float, float | None]] = {
        n: (max(p, 0.002), None) for n, p in _distribution(file)
    }
    for year, both in FASHION.items():
        for name in both.split("|")[sex].split():
            table[name] = (max(table.get(name, (0.0, None))[0], NEWCOMER_PERCENT), year)
    return table


def _tilted(vocabulary: list[str], table: dict[str, tuple[float, float | None]], year: float) -> np.ndarray:
    weights = np.zeros(len(vocabulary))
    for index, name in enumerate(vocabulary):
        percent, fashion = table.get(name, (0.0, None))
        if fashion is None:
            weights[index] = percent * UNFASHIONED
        else:  # a name never dies out: a twelfth of its height remains
            weights[index] = percent * max(np.exp(-0.5 * ((year - fashion) / SPREAD_YEARS) ** 2), 0.08) * 2
    return weights


def _coined(rng: np.random.Generator, count: int, taken: frozenset[str]) -> list[str]:
    """Rare surnames by syllables: the tail of a large population is longer than any list."""
    codas = ["", "", "", "N", "R", "L", "S", "T", "CK", "ND", "RT", "LL"]
    onsets, vowels, endings = ONSETS.split(), VOWELS.split(), ENDINGS.split()
    found: dict[str, None] = {}
    while len(found) < count:
        parts = [rng.integers(0, len(p), count) for p in (onsets, vowels, codas, onsets, vowels, endings)]
        for a, b, c, d, e, f in zip(*(part.tolist() for part in parts)):
            middle = onsets[d] + vowels[e] if f % 2 else ""
            name = onsets[a] + vowels[b] + codas[c] + middle + endings[f]
            if name not in taken:
                found[name] = None
    return list(found)[:count]
