"""What pairs are worth under a model, as one SQL expression: the weights of `model.Model.weigh`.

A model is trained once and exported (`Model.facts`); its tables become array literals that a code looks up.
Sums are made in double precision, in single precision on one machine: weights agree to about 10⁻⁵ bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from leadhub.identity.linkage.levels import GRADES, grades
from leadhub.identity.linkage.model import INHERITED, NYSID_BITS, Model
from leadhub.identity.linkage.schema import LinkageSchema
from leadhub.identity.linkage_spark.comparison import Compared


def weigh(compared: Compared, model: Model, schema: LinkageSchema) -> DataFrame:
    """The pairs with `bits`: log₂ odds that a pair is one person. `schema`: as seen in the model's tier."""
    return compared.pairs.withColumn("bits", F.expr(expression(compared, model, schema)))


def with_nysid(weighed: DataFrame) -> DataFrame:
    """The same fingerprint-based number is beyond doubt."""
    bits = f"CASE WHEN same_nysid THEN {_number(NYSID_BITS)} ELSE bits END"
    return weighed.withColumn("bits", F.expr(bits))


def expression(compared: Compared, model: Model, schema: LinkageSchema) -> str:
    """The model as SQL over `c_<field>` and `r_<feature>`."""
    chance = _sum([*_looked_up(model.chance), *_rare(compared, model)])
    if not model.family:
        return _sum([_number(model.prior_bits), chance, *_together(model, schema)])
    family = _sum([*_looked_up(model.family), *_rare(compared, model, INHERITED)])
    by_chance = f"{_number(model.possible)} * power(2D, -({chance}))"
    by_family = f"{_number(model.relatives)} * power(2D, -({family}))"
    return f"{_number(math.log2(model.people))} - log2({by_chance} + {by_family})"


def _sum(terms: list[str]) -> str:
    return " + ".join(terms)


def _rare(compared: Compared, model: Model, but: tuple[str, ...] = ()) -> list[str]:
    told = [name for name in compared.features if name in model.rarity and name not in but]
    return [f"{_number(model.rarity[name])} * r_{name}" for name in told]


def _looked_up(weights: dict[str, tuple[float, ...]]) -> list[str]:
    return [f"get({_array(table)}, c_{name})" for name, table in weights.items()]


def _together(model: Model, schema: LinkageSchema) -> list[str]:
    """Two fields' grades as one code, as in `levels.together`."""
    made = []
    for one, other in schema.together:
        table = model.together.get(f"{one}+{other}")
        if table is not None:
            first, second = (
                f"get(array({', '.join(map(str, grades(schema.fields[f], model.tier).tolist()))}), c_{f})"
                for f in (one, other)
            )
            made.append(f"get({_array(table)}, {first} * {GRADES} + {second})")
    return made


def _array(values: Sequence[float]) -> str:
    return f"array({', '.join(map(_number, values))})"


def _number(value: float) -> str:
    return f"{float(value)!r}D"
