"""`leadhub opprl …` makes, sends and takes in the tokens that spindle-token makes, sends and takes in.

The package itself runs on Spark, once, on the very file that the command is given.
"""

import polars as pl
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from leadhub import cli
from leadhub.foundation.errors import TerminalError
from leadhub.identity import opprl
from tests.identity import opprl_protocol as protocol
from tests.identity.opprl_protocol import OURS, pem, public_pem, reference, theirs  # noqa: F401  fixtures


def run(*order: object) -> str:
    said = CliRunner().invoke(cli.app, ["opprl", *map(str, order)])
    if said.exception is not None:
        raise said.exception
    return said.output


@pytest.fixture
def at(tmp_path, theirs):  # noqa: F811
    """A folder with our key, a partner's public key and a file of people."""
    (tmp_path / "ours.pem").write_bytes(pem(OURS))
    (tmp_path / "ours.pem").chmod(0o600)
    (tmp_path / "theirs.public.pem").write_bytes(public_pem(theirs))
    people = pl.DataFrame(protocol.people())
    people.rename({"record_id": "case_no", "last_name": "surname"}).write_parquet(
        tmp_path / "people.parquet"
    )
    return tmp_path


def table(path) -> pa.Table:
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    return opprl.keyed.to_arrow(frame)


def made(at, kind: str = "parquet"):
    out = at / f"tokens.{kind}"
    run("tokenise", at / "people.parquet", "--key", at / "ours.pem", "--id", "case_no", "--out", out)
    return out


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_tokens_of_the_command_equal_the_packages(reference, at, kind):  # noqa: F811
    assert table(made(at, kind)).equals(reference.tokenise(protocol.people(), OURS))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_what_the_command_sends_arrives_in_the_package(reference, at, theirs, kind):  # noqa: F811
    sent = at / f"sent.{kind}"
    run("send", made(at), "--key", at / "ours.pem", "--to", at / "theirs.public.pem", "--out", sent)
    assert reference.back(table(sent), theirs).equals(reference.tokenise(protocol.people(), theirs))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_what_the_package_sends_arrives_in_the_command(reference, at, theirs, kind):  # noqa: F811
    sent = at / f"sent.{kind}"
    frame = pl.DataFrame(reference.out(reference.tokenise(protocol.people(), theirs), theirs, OURS))
    frame.write_parquet(sent) if kind == "parquet" else frame.write_csv(sent)
    run("receive", sent, "--key", at / "ours.pem", "--out", at / "arrived.parquet")
    assert table(at / "arrived.parquet").equals(table(made(at)))


# --- without the package ---


def test_dates_in_another_form_are_read_first(at):
    iso = pl.DataFrame({"last_name": ["Lamb"] * 3, "dob": ["1984-02-29", "1990-12-31", None]})
    iso = iso.with_columns(first_name=pl.lit("Jo"), sex=pl.lit("F"))
    iso.write_csv(at / "iso.csv")
    american = pl.col("dob").str.to_date("%Y-%m-%d").dt.to_string("%m/%d/%Y")
    iso.with_columns(american).write_csv(at / "american.csv")
    for name in ("iso", "american"):
        run("tokenise", at / f"{name}.csv", "--key", at / "ours.pem", "--out", at / f"{name}.parquet")
    assert table(at / "iso.parquet").equals(table(at / "american.parquet"))
    assert table(at / "iso.parquet")["opprl_token_1v2"].null_count == 1
    assert table(at / "iso.parquet")["record_id"].to_pylist() == ["1", "2", "3"]


def test_counts_are_printed_and_no_value(at):
    said = run("tokenise", at / "people.parquet", "--key", at / "ours.pem", "--out", at / "t.csv")
    assert "200 rows" in said
    assert all(token in said for token in opprl.TOKENS)
    assert (at / "t.csv").stat().st_mode & 0o777 == 0o600
    names = [n for n in protocol.people()["last_name"].to_pylist() if n and len(n) > 5]
    assert not [n for n in names if n in said + (at / "t.csv").read_text()]


def test_a_key_is_made_once(at):
    run("key", at / "new.pem")
    assert (at / "new.pem").stat().st_mode & 0o777 == 0o600
    run(
        "send", made(at), "--key", at / "ours.pem", "--to", at / "new.public.pem", "--out", at / "s.parquet"
    )
    run("receive", at / "s.parquet", "--key", at / "new.pem", "--out", at / "r.parquet")
    with pytest.raises(TerminalError, match=r"^state_invalid"):
        run("key", at / "new.pem")


def test_refusals_say_what_is_wrong(at):
    tokens = made(at)
    (at / "open.pem").write_bytes(pem(OURS))
    (at / "open.pem").chmod(0o644)
    (at / "none.csv").write_text("case\n1\n")
    for order, reason in (
        (("receive", tokens, "--key", at / "ours.pem"), "decryption_failed"),
        (("send", tokens, "--key", at / "ours.pem", "--to", at / "ours.pem"), "recipient_key_mismatch"),
        (("receive", tokens, "--key", at / "open.pem"), "wrong_key"),
        (("receive", tokens, "--key", at / "missing.pem"), "key_missing"),
        (("receive", at / "missing.csv", "--key", at / "ours.pem"), "linkage_input_invalid"),
        (("tokenise", at / "none.csv", "--key", at / "ours.pem"), "linkage_input_invalid"),
        (("tokenise", at / "none.csv", "--key", at / "ours.pem", "--id", "x"), "linkage_input_invalid"),
    ):
        with pytest.raises(TerminalError, match=f"^{reason}"):
            run(*order, "--out", at / "out.csv")
        assert not (at / "out.csv").exists()
