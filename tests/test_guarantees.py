"""The page of promises tells what was proved, what failed, and what nothing proves."""

from tests import guarantees


def test_a_promise_stands_where_all_its_tests_passed():
    page = guarantees.render(
        {2: {"a::test_t2_x": True}, 3: {"b::test_t3_y": True, "b::test_t3_z": False}}, "2026-01-02"
    )
    rows = {line.split(" | ")[0]: line for line in page.splitlines() if line.startswith("| T")}
    assert len(rows) == len(guarantees.PROMISES)
    assert rows["| T2"].endswith("`a::test_t2_x` | passed on 2026-01-02 |")
    assert rows["| T3"].endswith("**failed on 2026-01-02** |")
    assert "not proved" in rows["| T9"]


def test_every_promise_is_the_issue_s_number_once():
    assert list(guarantees.PROMISES) == list(range(1, 11))
