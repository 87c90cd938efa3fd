"""Errors as clerks, callers and scanners make them; chance comes in as numbers in [0, 1).

All text is upper case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
KEYS = "QWERTYUIOPASDFGHJKLZXCVBNM1234567890"
NEIGHBOURS = (
    "WA QESD WRDF ETFG RYGH TUHJ YIJK UOKL IPL OL QSZW AEDXZ SRFCX DTGVC FYHBV GUJNB HIKMN JOLM KP "
    "ASX ZSDC XDFV CFGB VGHN BHJM NJK 2 13 24 35 46 57 68 79 80 9"
)
KEYBOARD = dict(zip(KEYS, NEIGHBOURS.split()))
SOUNDS = (
    "PH F,F PH,CK K,C K,K C,S Z,Z S,IE Y,EY Y,Y IE,Y EY,EE EA,EA EE,AI AY,LL L,TT T,NN N,SS S,RR R,SCH SH,"
    "MC MAC,MAC MC,KN N,WR R,TH T,X KS,OU OW,OW OU,E I,I E,A E,O U,U O,L LL,N NN,T TT,ER AR,EN IN,ON EN"
)
SOUND_RULES = [tuple(rule.split()) for rule in SOUNDS.split(",")]
SHAPES = (
    "M RN,RN M,L I,I L,O 0,S 5,B 8,E C,C E,CL D,D CL,VV W,W VV,G Q,U V,V U,N R,H N,I 1,Z 2,Q O,O Q,F P,P F"
)
SHAPE_RULES = [tuple(rule.split()) for rule in SHAPES.split(",")]
NICKNAMES_TEXT = """WILLIAM BILL BILLY WILL; ROBERT BOB ROB BOBBY; RICHARD RICK DICK RICH; JAMES JIM
JIMMY; JOHN JACK JOHNNY; MICHAEL MIKE MICKEY; JOSEPH JOE JOEY; THOMAS TOM TOMMY; CHARLES CHUCK
CHARLIE; EDWARD ED EDDIE TED; DANIEL DAN DANNY; MATTHEW MATT; ANTHONY TONY; STEVEN STEVE; STEPHEN
STEVE; KENNETH KEN KENNY; GREGORY GREG; TIMOTHY TIM; RONALD RON RONNIE; DONALD DON DONNIE; JEFFREY
JEFF; CHRISTOPHER CHRIS TOPHER; ANDREW ANDY DREW; JOSHUA JOSH; NICHOLAS NICK; BENJAMIN BEN; SAMUEL
SAM; ALEXANDER ALEX XANDER; ZACHARY ZACH; JONATHAN JON; PATRICK PAT; LAWRENCE LARRY; GERALD JERRY;
RAYMOND RAY; WALTER WALT; FREDERICK FRED; ALBERT AL BERT; EUGENE GENE; THEODORE TED; DAVID DAVE;
PHILLIP PHIL; NATHANIEL NATE; JACOB JAKE; ELIZABETH LIZ BETH BETTY LIZZIE; MARGARET PEGGY MAGGIE
MEG; KATHERINE KATE KATHY KATIE; CATHERINE CATHY KATE; KATHLEEN KATHY; PATRICIA PAT PATTY TRISH;
JENNIFER JEN JENNY; SUSAN SUE SUSIE; BARBARA BARB; DEBORAH DEB DEBBIE; DEBRA DEB DEBBIE; CYNTHIA
CINDY; SANDRA SANDY; REBECCA BECKY; CHRISTINA CHRIS TINA; CHRISTINE CHRIS CHRISSY; STEPHANIE STEPH;
PAMELA PAM; VICTORIA VICKI TORI; DOROTHY DOT DOTTIE; JESSICA JESS; AMANDA MANDY; SAMANTHA SAM;
ALEXANDRA ALEX SANDRA; KIMBERLY KIM; MELISSA MISSY; ABIGAIL ABBY; JACQUELINE JACKIE; THERESA TERRY
TESS; TERESA TERRY TESS; VIRGINIA GINNY; FRANCES FRAN; NANCY NAN; ANNA ANNIE; MARY MOLLY POLLY;
SARAH SALLY; CAROLYN CAROL; JUDITH JUDY; MADISON MADDIE; ISABELLA BELLA; OLIVIA LIV; NATHAN NATE;
ISAAC IKE; GABRIEL GABE; JOSE PEPE; FRANCISCO PACO FRANK; GUADALUPE LUPE; MANUEL MANNY"""
NICKNAMES = {line.split()[0]: line.split()[1:] for line in NICKNAMES_TEXT.split(";")}
FORMAL = {nickname: formal for formal, nicknames in NICKNAMES.items() for nickname in nicknames}


@dataclass(frozen=True)
class Mix:
    """How often what goes wrong: shares of the fields, and the weights of the kinds of typing error."""

    errors: float = 0.10
    missing: float = 1.0  # factor on each field's own share
    nicknames: float = 0.05
    twice: float = 0.12  # of the misspelt fields, those misspelt once more
    kinds: dict[str, float] = field(
        default_factory=lambda: {
            "insert": 0.15,
            "delete": 0.20,
            "substitute": 0.10,
            "transpose": 0.15,
            "keyboard": 0.18,
            "sound": 0.14,
            "shape": 0.08,
        }
    )


def insert(text: str, u: float, v: float) -> str:
    at = int(u * (len(text) + 1))
    new = text[at - 1] if v < 0.4 and at else LETTERS[int(v * 26)]
    return text[:at] + new + text[at:]


def delete(text: str, u: float, v: float) -> str:
    at = int(u * len(text))
    return text[:at] + text[at + 1 :] if len(text) > 1 else text


def substitute(text: str, u: float, v: float) -> str:
    at = int(u * len(text))
    alphabet = "0123456789" if text[at].isdigit() else LETTERS
    return text[:at] + alphabet[int(v * len(alphabet))] + text[at + 1 :]


def transpose(text: str, u: float, v: float) -> str:
    if len(text) < 2:
        return text
    at = int(u * (len(text) - 1))
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def keyboard(text: str, u: float, v: float) -> str:
    at = int(u * len(text))
    near = KEYBOARD.get(text[at])
    return text[:at] + near[int(v * len(near))] + text[at + 1 :] if near else delete(text, u, v)


def _rewrite(rules: Sequence[tuple[str, ...]], text: str, u: float, v: float) -> str:
    fitting = [rule for rule in rules if rule[0] in text]
    if not fitting:
        return keyboard(text, u, v)
    old, new = fitting[int(u * len(fitting))]
    return text.replace(old, new, 1)


def sound(text: str, u: float, v: float) -> str:
    return _rewrite(SOUND_RULES, text, u, v)


def shape(text: str, u: float, v: float) -> str:
    return _rewrite(SHAPE_RULES, text, u, v)


def nickname(text: str, u: float, v: float) -> str:
    """William ↔ Bill; a name without one stays as it is."""
    short = NICKNAMES.get(text)
    return short[int(u * len(short))] if short else FORMAL.get(text, text)


TYPING: dict[str, Callable[[str, float, float], str]] = {
    "insert": insert,
    "delete": delete,
    "substitute": substitute,
    "transpose": transpose,
    "keyboard": keyboard,
    "sound": sound,
    "shape": shape,
}


def misdate(text: str, u: float, v: float) -> str:
    """A wrong yyyy-mm-dd: day and month swapped, one digit, the next year or day, or 1 January.

    The result may be impossible (1987-02-31): agencies send such dates.
    """
    year, month, day = text.split("-")
    if u < 0.30 and int(day) <= 12 and day != month:
        return f"{year}-{day}-{month}"
    if u < 0.70:
        at = (2, 3, 6, 8, 9)[int(v * 5)]
        digit = str((int(text[at]) + 1 + int(v * 997) % 9) % 10)
        digit = digit if at not in (6, 8) else str(int(digit) % (2 if at == 6 else 4))
        return text[:at] + digit + text[at + 1 :]
    if u < 0.82:
        return f"{int(year) + (1 if v < 0.5 else -1)}-{month}-{day}"
    if u < 0.92:
        return f"{year}-{month}-{max(int(day) + (1 if v < 0.5 else -1), 1):02d}"
    if u < 0.97:
        return f"{year[:2]}{year[3]}{year[2]}-{month}-{day}"
    return f"{year}-01-01"


def misyear(text: str, u: float, v: float) -> str:
    """A wrong birth year: a neighbour, one digit, or two digits exchanged."""
    if u < 0.5:
        return str(int(text) + (1 if v < 0.5 else -1))
    if u < 0.8:
        at = 2 + int(v * 2)
        return text[:at] + str((int(text[at]) + 1 + int(u * 997) % 9) % 10) + text[at + 1 :]
    return text[:2] + text[3] + text[2]


def some(rng: np.random.Generator, column: pl.Series, share: float) -> np.ndarray:
    """Positions of a random `share` of the values that are there."""
    chosen = (rng.random(len(column)) < share) & column.is_not_null().to_numpy()
    return np.flatnonzero(chosen)


def apply(
    rng: np.random.Generator, column: pl.Series, share: float, change: Callable[[str, float, float], str]
) -> pl.Series:
    """`change` on a random `share` of the values."""
    rows = some(rng, column, share)
    texts, u, v = (
        column.gather(rows).to_list(),
        rng.random(len(rows)).tolist(),
        rng.random(len(rows)).tolist(),
    )
    changed = [change(text, a, b) for text, a, b in zip(texts, u, v)]
    return column.scatter(rows, pl.Series(changed, dtype=pl.String))


def misspell(rng: np.random.Generator, column: pl.Series, share: float, mix: Mix) -> pl.Series:
    """Typing errors by the mix's kinds on a random `share` of the values."""
    rows = some(rng, column, share)
    again = rng.random(len(rows)) < mix.twice
    texts = _typed(rng, column.gather(rows).to_list(), mix)
    twice = np.flatnonzero(again).tolist()
    for row, text in zip(twice, _typed(rng, [texts[row] for row in twice], mix)):
        texts[row] = text
    return column.scatter(rows, pl.Series(texts, dtype=pl.String))


def _typed(rng: np.random.Generator, texts: list[str], mix: Mix) -> list[str]:
    kinds = list(mix.kinds)
    weights = np.array([mix.kinds[kind] for kind in kinds])
    functions = [TYPING[kind] for kind in kinds]
    drawn = rng.choice(len(kinds), len(texts), p=weights / weights.sum()).tolist()
    u, v = rng.random(len(texts)).tolist(), rng.random(len(texts)).tolist()
    # an initial is not misspelt: what is left of it would be no letter or two
    return [
        functions[k](text, a, b) if len(text) > 1 else text for text, k, a, b in zip(texts, drawn, u, v)
    ]
