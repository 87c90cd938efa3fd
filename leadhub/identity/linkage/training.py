"""Learning the weights from the night's own pairs; no labels are used.

1. **Expectation maximisation** (Fellegi and Sunter 1969; Winkler 1988): how often strangers stand at each
   level is counted on random pairs of the whole space (tier `tokens`: as the schema declares), how often
   one person's records do is learnt, and how many pairs are one person's, and how many are family. The
   prior is that of the whole space, so that a posterior of one half is a threshold by itself.
2. **Self-training.** What the first model is sure of, and what the structure tells (a pair that loses
   against a better one where each person stands once is no match), become labels of a logistic regression
   over the same levels. It learns weights against the rivals that are really there: households, twins.
3. **Again, by persons**, where a feed may hold a person several times: what the last weights bring together
   as one person, through third records too, and what they keep apart, are the labels of the next round.

All start from the schema's declared odds and stay near them where there is little to learn from.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from leadhub.identity.linkage import clusters, graph, regression
from leadhub.identity.linkage.clusters import Links
from leadhub.identity.linkage.comparison import Compared, field_codes
from leadhub.identity.linkage.levels import GRADES, spans, together
from leadhub.identity.linkage.limits import Limits
from leadhub.identity.linkage.model import Model, bounded, declared, odds, tables
from leadhub.identity.linkage.records import Records
from leadhub.identity.linkage.schema import DIFFER, LinkageSchema

_ROUNDS = 100
_RANDOM_PAIRS = 1_000_000
_SAMPLE = 300_000
#: fewer labelled pairs of either kind than this teach nothing
LEAST_LABELS = 100
#: log₂ odds below which a pair teaches nothing
_HOPELESS = -12.0
#: pseudo-counts that hold a level's odds near the declared ones
_HOLD = 20.0
#: and those of one person's and of relatives' records near the declared ones, as a share of their pairs:
#: else relatives pass for one person where little but name and address is told, and where there are few of
#: them, they would take in one person's pairs with errors
_STAY_SAME, _STAY_FAMILY = 0.1, 0.5
#: rounds of self-training by persons: where chance was counted and not declared, a second would but learn
#: the first one's errors
_BY_PERSON = {"tokens": 2, "fields": 1}
_LN2 = np.log(2.0)


def train(
    records: Records,
    left: np.ndarray,
    right: np.ndarray,
    compared: Compared,
    rarity: dict[str, np.ndarray],
) -> Model:
    """The model for these candidate pairs."""
    first = declared(
        records.schema,
        records.tier,
        people=max(1.0, len(records) / 2),
        possible=records.possible_pairs(),
        rarity=dict.fromkeys(rarity, 1.0),
    )
    if len(left):
        patterns, of = _patterns(_sampled(compared.codes), tuple(map(len, first.chance.values())))
        counts = np.bincount(of) * (len(left) / len(of))
        chance = strangers(records) if records.tier == "fields" else odds(records.schema, "chance")
        first = expectation_maximisation(records, patterns, counts, chance, first)
    learnt = self_train(records, left, right, compared.codes, rarity, first)
    bits = learnt.weigh(records.schema, compared.codes, rarity)
    return replace(learnt, raise_bits=_raise(records, left, right, bits, learnt))


def _raise(records: Records, left: np.ndarray, right: np.ndarray, bits: np.ndarray, model: Model) -> float:
    """Nothing is raised before self-training has met the rivals."""
    if model.how != "self-trained" and len(left) < 10 * LEAST_LABELS:
        return 0.0
    at = np.flatnonzero((records.alone[left] | records.alone[right]) & (bits > _HOPELESS))
    kept = graph.assign(records, left[at], right[at], bits[at])
    return graph.raise_bits(bits[at[kept]], model.people)


def expectation_maximisation(
    records: Records, patterns: np.ndarray, counts: np.ndarray, chance: dict[str, np.ndarray], start: Model
) -> Model:
    """How often one person's records stand at each level, and how many pairs of one person there are.
    `patterns`: (fields, patterns) codes, of which each stands in `counts` pairs; `chance`: how often
    strangers stand at each level."""
    schema, tier = records.schema, records.tier
    same, family = odds(schema, "same"), odds(schema, "family")
    declared_same, declared_family = dict(same), dict(family)
    most = records.most_pairs()
    model = start
    for _ in range(_ROUNDS):
        model = replace(
            model,
            how="expectation maximisation",
            chance=tables(schema, tier, same, chance),
            family=tables(schema, tier, same, family),
        )
        rivals = model.rivals(schema, patterns, np.float32(0), np.float32(0))
        total = model.people + rivals[0] + rivals[1]
        posterior = counts * model.people / total
        kin = counts * rivals[1] / total
        for name, row in zip(schema.fields, patterns):
            possible = spans(schema.fields[name], tier)
            held = declared_same[name] * (_HOLD + _STAY_SAME * posterior.sum())
            same[name] = _learn(possible, row, posterior, same[name], held)
            held = declared_family[name] * (_HOLD + _STAY_FAMILY * kin.sum())
            family[name] = _learn(possible, row, kin, family[name], held)
        people = min(most, max(1.0, float(posterior.sum())))
        done = abs(people - model.people) < 1e-4 * people
        relatives = float(kin.sum())
        model = replace(model, people=people, relatives=max(1e-3, relatives))
        if done:
            break
    return model


def _learn(
    possible: tuple[tuple[int, int], ...],
    codes: np.ndarray,
    weight: np.ndarray,
    now: np.ndarray,
    held: np.ndarray,
) -> np.ndarray:
    level = held + _levels(possible, codes, weight, now)
    return level / level.sum()


def _levels(
    possible: tuple[tuple[int, int], ...], codes: np.ndarray, weight: np.ndarray, same: np.ndarray
) -> np.ndarray:
    """Weight of each level; a span's weight is dealt out among its levels as one person's records stand."""
    by_code = np.bincount(codes, weight, minlength=len(possible))
    level = np.zeros(len(same))
    # what is not comparable says nothing
    for (lo, hi), total in zip(possible[1:], by_code[1:]):
        level[lo : hi + 1] += total * same[lo : hi + 1] / same[lo : hi + 1].sum()
    return level


def _sampled(codes: np.ndarray) -> np.ndarray:
    return codes[:, :: max(1, codes.shape[1] // 2_000_000)]


def strangers(records: Records) -> dict[str, np.ndarray]:
    """How often two random records that may be one person stand at each level, in tier `fields`."""
    random = np.random.default_rng(len(records))
    left = random.integers(0, len(records), _RANDOM_PAIRS)
    right = random.integers(0, len(records), _RANDOM_PAIRS)
    apt = (left != right) & records.may_be_one(left, right)
    codes = field_codes(records, left[apt], right[apt])
    counted = {}
    for (name, share), column in zip(odds(records.schema, "chance").items(), codes):
        seen = np.bincount(column, minlength=len(share) + 1)[DIFFER:]
        level = seen + _HOLD * share
        counted[name] = level / level.sum()
    return counted


def rarity(
    records: Records, left: np.ndarray, right: np.ndarray, compared: Compared, limits: Limits
) -> dict[str, np.ndarray]:
    """Bits that a pair gains because what it shares is rarer than usual, and loses where it is commoner.

    Tier `fields`: where fields that the schema calls `rare` are equal, by the frequency of the keyed value.
    Tier `tokens`: see `Compared`.
    """
    if records.tier == "tokens":
        return {"excess": -compared.excess.astype(np.float32), "beyond": compared.beyond}
    found = {}
    for field, codes in zip(records.schema.fields.values(), compared.codes):
        if field.rare:
            tokens, exact = records.column(f"p_{field.rare}"), np.flatnonzero(codes == len(field.names) - 1)
            bits = np.zeros(len(left), dtype=np.float32)
            if len(exact) < len(records):
                bits[exact] = limits.value_bits(field.rare, tokens[left[exact]])
            else:
                bits[exact] = limits.value_bits(field.rare, tokens)[left[exact]]
            found[field.rare] = bits
    return found


def self_train(
    records: Records,
    left: np.ndarray,
    right: np.ndarray,
    codes: np.ndarray,
    rare: dict[str, np.ndarray],
    first: Model,
) -> Model:
    """Logistic regression on what the first model and the structure of the sources tell; where feeds may
    hold a person several times, again on what its own weights take for persons."""
    bits = first.weigh(records.schema, codes, rare)
    close = np.flatnonzero(bits > _HOPELESS)
    left, right, codes, bits = left[close], right[close], codes[:, close], bits[close]
    rare = {name: values[close] for name, values in rare.items()}
    model, person = first, None
    several = not (records.alone[left] | records.alone[right]).all()
    for again in range(1 + _BY_PERSON[records.tier] if several else 1):
        if again:
            person = clusters.decide(records, Links(left, right, bits), 0.0)[1]
        label = graph.labels(records, left, right, bits, person)
        if min(int((label == which).sum()) for which in (0, 1)) >= LEAST_LABELS:
            model = _fitted(records, codes, rare, label, first)
            bits = model.weigh(records.schema, codes, rare)
    return model


def _fitted(
    records: Records, codes: np.ndarray, rare: dict[str, np.ndarray], label: np.ndarray, first: Model
) -> Model:
    """Logistic regression on pairs labelled 1 and 0 (others −1), that starts from the first model."""
    at = np.flatnonzero(label >= 0)
    if len(at) > _SAMPLE:
        at = np.sort(np.random.default_rng(len(at)).choice(at, _SAMPLE, replace=False))
    sizes = [len(w) for w in first.chance.values()]
    patterns, of = _patterns(codes[:, at], tuple(sizes))
    joint = together(records.schema, records.tier, patterns)
    own = [values[at].astype(np.float64) for values in rare.values()]
    design = regression.Design(_columns(sizes, patterns, joint), of, np.array(own).reshape(-1, len(at)).T)
    start = _start(first, list(rare), len(joint))
    beta = regression.fit(design, label[at].astype(np.float64), start)
    return _learnt(records.schema, first, sizes, list(rare), list(joint), beta)


def _patterns(codes: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Distinct columns of `codes`, and which of them each column is."""
    packed = np.ravel_multi_index(tuple(row.astype(np.intp) for row in codes), shape)
    coded = pa.array(packed).dictionary_encode()
    patterns = np.stack(np.unravel_index(coded.dictionary.to_numpy(), shape)).astype(np.uint8)
    return patterns, coded.indices.to_numpy()


def _columns(sizes: list[int], codes: np.ndarray, joint: dict[str, np.ndarray]) -> np.ndarray:
    """One; each code but "unknown"; two fields' grades together."""
    columns = [np.ones(codes.shape[1])]
    for row, size in zip(codes, sizes):
        columns += [(row == c).astype(np.float64) for c in range(1, size)]
    for row in joint.values():
        columns += [(row == c).astype(np.float64) for c in range(GRADES**2)]
    return np.column_stack(columns)


def _start(first: Model, rare: list[str], joint: int) -> np.ndarray:
    """The first model's coefficients (nats), along the columns and rarity."""
    bits = [first.prior_bits, *(b for table in first.chance.values() for b in table[1:])]
    bits += [0.0] * joint * GRADES**2 + [first.rarity[name] for name in rare]
    return np.array(bits) * _LN2


def _learnt(
    schema: LinkageSchema,
    first: Model,
    sizes: list[int],
    rare: list[str],
    joint: list[str],
    beta: np.ndarray,
) -> Model:
    bits = (beta / _LN2).round(4)
    at, chance, both = 1, {}, {}
    for name, size in zip(first.chance, sizes):
        chance[name] = (0.0, *bounded(schema.fields[name], bits[at : at + size - 1].tolist()))
        at += size - 1
    for name in joint:
        both[name] = tuple(bits[at : at + GRADES**2].tolist())
        at += GRADES**2
    factors = dict(zip(rare, bits[at:].tolist()))
    return replace(
        first,
        how="self-trained",
        chance=chance,
        family={},
        together=both,
        rarity=factors,
        learnt_prior_bits=float(bits[0]),
    )
