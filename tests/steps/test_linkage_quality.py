"""`leadhub linkage evaluate` on files with known truth."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from leadhub import cli
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
from leadhub.steps import labelled, linkage_quality
from tests.identity import people


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two feeds of a small county, one as CSV with columns of its own, one as Parquet."""
    folder = tmp_path_factory.mktemp("labelled")
    feeds = dict(list(people.FEEDS.items())[:2]) if isinstance(people.FEEDS, dict) else people.FEEDS[:2]
    tables, truth = people.county(1200, people.FEEDS, 0.05, seed=3)
    paths = []
    for feed, kind in zip(feeds, ("csv", "parquet")):
        frame = pl.DataFrame(pl.from_arrow(tables[feed]))
        frame = frame.with_columns(
            person=pl.col("record_id").replace_strict(truth).cast(pl.String),
            date_of_birth=pl.col("date_of_birth").dt.to_string("%m/%d/%Y"),
        ).rename({"last_name": "surname"})
        path = folder / f"{feed}.{kind}"
        frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
        paths.append(path)
    return paths


@pytest.mark.parametrize("tier", ["tokens", "fields"])
def test_two_files_are_linked_and_judged(files, tier, tmp_path):
    out = tmp_path / "pairs.parquet"
    found = linkage_quality.evaluate(
        files, mapping={}, truth="person", tier=tier, one_to_one=True, pairs_to=out
    )
    assert found["one_to_one"]["chosen"]["f1"] > 0.95
    assert found["one_to_one"]["best"]["f1"] >= found["one_to_one"]["chosen"]["f1"]
    assert found["persons"]["f1"] > 0.95
    assert found["block_recall"] > 0.95
    assert set(found["by_group"]["sex"]) <= {"M", "F"}
    pairs = pl.read_parquet(out)
    assert pairs.height == found["candidate_pairs"]
    linked = pairs.filter("linked")
    said = linked.get_column("true_match").sum() / linked.height
    assert said == pytest.approx(found["persons"]["precision"], abs=0.01)
    # rows are counted from 0 within their own file, and point at what was linked
    one, two = pl.read_csv(files[0], infer_schema=False), pl.read_parquet(files[1])
    row = linked.filter("true_match").row(0, named=True)
    a, b = int(row["left"].split(":")[1]), int(row["right"].split(":")[1])
    assert row["left"].startswith("1:")
    assert row["right"].startswith("2:")
    assert one["person"][a] == two["person"][b]


def test_one_file_is_searched_for_duplicates(files, tmp_path):
    both = pl.concat(
        [pl.read_csv(files[0], infer_schema=False), pl.read_parquet(files[1]).cast(pl.String)],
        how="diagonal",
    )
    path = tmp_path / "both.csv"
    both.write_csv(path)
    order = ["linkage", "evaluate", str(path), "--truth", "person", "--json", "--map", "last_name=surname"]
    order += ["--map", "first_name=first_name,date_of_birth=date_of_birth,ssn4=ssn4,zip=zip"]
    said = CliRunner().invoke(cli.app, order)
    assert said.exit_code == 0, said.output
    found = json.loads(said.output)
    assert "one_to_one" not in found
    # names, birth date and half an ssn of 600 people with their relatives are little to learn from
    assert found["raw"]["chosen"]["precision"] > 0.8
    assert found["raw"]["chosen"]["recall"] > 0.9


def test_tables_for_people_are_printed(files):
    said = CliRunner().invoke(cli.app, ["linkage", "evaluate", *map(str, files), "--truth", "person"])
    assert said.exit_code == 0, said.output
    for word in ("all pairs", "one to one", "persons", "sex", "peak"):
        assert word in said.output


def test_no_value_of_a_person_is_written(files, tmp_path):
    out = tmp_path / "pairs.parquet"
    said = CliRunner().invoke(
        cli.app, ["linkage", "evaluate", *map(str, files), "--truth", "person", "--pairs", str(out)]
    )
    surnames = [
        n for n in pl.read_parquet(files[1])["surname"].drop_nulls().unique().to_list() if len(n) > 5
    ]
    text = said.output + out.read_bytes().decode("latin-1")
    assert not [n for n in surnames if n in text]


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"truth": "nobody"}, "nobody"),
        ({"mapping": {"last_name": ["family"]}}, "family"),
        ({"groups": ["religion"]}, "religion"),
    ],
)
def test_wrong_columns_are_named(files, changed, word):
    usual = {"mapping": {}, "truth": "person", "tier": "tokens", "one_to_one": False}
    with pytest.raises(TerminalError, match=word) as error:
        linkage_quality.evaluate(files, **usual | changed)
    assert error.value.reason == "linkage_input_invalid"


def test_a_map_is_read_in_every_form(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("last_name: surname\naddress_line: no+street\n")
    expected = {"last_name": ["surname"], "address_line": ["no", "street"]}
    assert labelled.parse_map([str(path)]) == expected
    assert labelled.parse_map(["last_name=surname,address_line=no+street"]) == expected
    assert labelled.parse_map(["surname=last_name", "address_line=no+street"]) == expected
    with pytest.raises(TerminalError, match="kinds are"):
        labelled.parse_map(["colour=green"])
    assert set(labelled.USUAL_NAMES) == set(IDENTIFIER_KINDS)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1980-03-04", "1980-03-04"),
        ("19800304", "1980-03-04"),
        ("03/04/1980", "1980-03-04"),
        ("1980-03-04 00:00:00", "1980-03-04"),
    ],
)
def test_dates_are_read_in_the_form_of_their_column(written, read, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"dob\n{written}\n{written}\n1980-02-30\n")
    source = labelled.read(path, {}, keep=[], prefix="")
    born = source.identifiers["date_of_birth"].cast(pl.String).to_list()
    assert born == [read, read, None]
    assert source.identifiers["birth_year"].to_list() == ["1980"] * 3
