"""Tables made under an older version of the keys of ids, as they would be made now.

A sealed id opens, so it is sealed anew; a number that agencies quote to one another is kept sealed beside
its token, so its token is made anew. Nothing is asked of the agencies again. A table is brought up to date
when it is read, and kept so when its feed next writes it: rotation is one word and rewrites nothing itself.
"""

from __future__ import annotations

import pyarrow as pa

from leadhub.foundation.keys import Keys
from leadhub.foundation.vocabulary import Sensitivity, TableFacts
from leadhub.identity import sealing, tokens


def up_to_date(table: pa.Table, facts: TableFacts, *, agency: str, keys: Keys) -> pa.Table:
    """`table` (some columns of a pseudonymised table) with ids and tokens of the newest version.

    Raises: TerminalError `wrong_key`.
    """
    for column in facts.columns:
        own = column.sensitivity in (Sensitivity.LOCAL_ID, Sensitivity.SHARED_ID)
        if not own or column.name not in table.column_names:
            continue
        sealed = table.column(column.name)
        if sealing.is_current(sealed, keys):
            continue
        plain = sealing.open_sealed(sealed, agency, keys)
        table = _put(table, column.name, sealing.seal(plain, agency, keys))
        if f"{column.name}_token" in table.column_names:
            token = tokens.shared_id_token(plain, column.kind or column.name, keys)
            table = _put(table, f"{column.name}_token", token)
    return table


def _put(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)
