"""Feeds that come as files: a drop in the inbox of the agency's SFTP account.

A drop lands as it came: a member of role `rows` for each data file (format `csv` or `csv.pgp`, `rows` as
the manifest states), manifest or sidecars in role `manifest`. `Drop.sequence` is YYYYMMDDNN, from the
names; `Drop.night` is the night that brought it in, which for late data is a later one.

What is not a whole drop stays in the inbox. What landed is removed by `finish`, once the landing is
committed and only if it is still the file that was read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

from connectors import sftp_drops
from connectors.base import Arrival, Connection, Connector
from connectors.sftp_drops import Candidate, Unready
from connectors.sftp_names import Names, Offered, Refusal
from connectors.sftp_order import out_of_place, same_rows
from connectors.sftp_outbox import Outbox
from connectors.sftp_session import Entry, SftpSession
from leadhub.foundation import clock
from leadhub.foundation.errors import LeadhubError, TerminalError
from leadhub.foundation.vocabulary import TableFacts
from leadhub.intake.feeds import Feed
from leadhub.intake.landing import Drop, DropWriter, Landing

__all__ = ["Outbox", "SftpConnector"]

INBOX = "inbox"
#: a file dated further ahead than this has a clock that says nothing of its age
_CLOCK_SKEW = timedelta(days=1)
_log = logging.getLogger(__name__)


class SftpConnector(Connector):
    """Reads a feed of connector `sftp`. `mapping.source` of a table is the stem of its files' names."""

    def __init__(self, feed: Feed, tables: Mapping[str, TableFacts], connection: Connection):
        super().__init__(feed, tables, connection)
        if feed.drop is None:
            raise TerminalError("feed_invalid", f"[{feed.id}.yaml]: [drop] goes with connector sftp")
        self._rules = feed.drop
        self._names = Names(feed, feed.drop)
        self._as_read: dict[str, Entry] = {}

    def read(self, landing: Landing, night: str, since: Mapping[str, str]) -> list[Arrival]:
        """Land every whole drop dated `night` or before, in order of date and sequence; refusals last.

        Drops dated later, up to today, are left for their own night and not reported.
        Raises: TransientError `source_unreachable`, `source_timeout`; TerminalError `host_key_changed`,
        `credentials_refused`, `settings_invalid`, `feed_invalid`.
        """
        day = date.fromisoformat(clock.check_night(night))
        self._as_read = {}
        with SftpSession(self.connection) as session:
            inbox = session.lstat(INBOX)
            if inbox is None or not inbox.is_folder:
                raise TerminalError(
                    "settings_invalid",
                    f"the SFTP account of feed [{self.feed.id}] has no folder [{INBOX}]; make it",
                )
            offered, refused = self._names.sort(
                session.entries(INBOX), last_day=max(day, clock.now().date())
            )
            due = [o for o in offered if o.day <= day]
            found = sftp_drops.assemble(
                self.feed,
                self._rules,
                due,
                lambda o: session.read(_path(o), sftp_drops.STATEMENT_LIMIT + 1),
            )
            held: set[str] = set()
            arrivals = []
            for one in found:
                arrival = (
                    self._waiting(one)
                    if isinstance(one, Unready)
                    else self._take(session, landing, night, one, held)
                )
                if arrival.status == "held" and arrival.drop:
                    held.add(arrival.drop.drop_id)
                arrivals.append(arrival)
        return arrivals + [self._refused(r) for r in refused]

    def finish(self, arrivals: list[Arrival]) -> None:
        """Remove what landed from the inbox. What cannot be removed is a duplicate the next night."""
        done = {n for a in arrivals if a.status in ("landed", "duplicate", "held") for n in a.names}
        mine = sorted(done & self._as_read.keys())
        if not mine:
            return
        try:
            with SftpSession(self.connection) as session:
                for name in mine:
                    # a file that was replaced meanwhile is a new arrival
                    if session.lstat(f"{INBOX}/{name}") == self._as_read[name]:
                        session.remove(f"{INBOX}/{name}")
        except LeadhubError as error:
            _log.warning("the inbox of feed [%s] could not be tidied: %s", self.feed.id, error)

    # one drop ---------------------------------------------------------------------------------------

    def _take(
        self, session: SftpSession, landing: Landing, night: str, candidate: Candidate, held: set[str]
    ) -> Arrival:
        names = tuple(f.name for f in candidate.files)
        writer = landing.writer(self.feed.id, night)
        try:
            unready = self._download(session, writer, candidate)
            if unready is not None:
                writer.abandon()
                return self._waiting(unready)
            self._as_read |= {f.name: f.entry for f in candidate.files}
            earlier = landing.drops(self.feed.id)
            twin = same_rows(candidate, writer.members, earlier)
            if twin is not None:
                writer.abandon()
                return Arrival("duplicate", names, twin)
            drop = writer.commit(mode=candidate.mode, sequence=candidate.number, origin=names)
        except BaseException:
            writer.abandon()
            raise
        return self._placed(landing, night, drop, earlier, names, held)

    def _placed(
        self,
        landing: Landing,
        night: str,
        drop: Drop,
        earlier: list[Drop],
        names: tuple[str, ...],
        held: set[str],
    ) -> Arrival:
        """Landed, held or seen before. Asked again after a crash, the answer is the same."""
        known = any(d.drop_id == drop.drop_id for d in earlier)
        if known and drop.night != night and landing.path(drop, "accepted").exists():
            return Arrival("duplicate", names, drop)
        applied = [
            d for d in earlier if d.drop_id not in held and not landing.path(d, "held.json").exists()
        ]
        verdict = out_of_place(self.feed, drop, earlier, applied, new=not known)
        if verdict is not None:
            return Arrival("held", names, drop, *verdict)
        return Arrival("landed" if drop.night == night else "duplicate", names, drop)

    def _download(self, session: SftpSession, writer: DropWriter, candidate: Candidate) -> Unready | None:
        for part in candidate.parts:
            file = part.file
            if session.lstat(_path(file)) != file.entry:
                return sftp_drops.moving(candidate, f"[{file.name}] changed after it was listed")
            form = "csv" if self._rules.encryption == "none" else "csv.pgp"
            with writer.member(file.name, table=file.table, role="rows", format=form) as handle:
                handle.rows = part.rows  # type: ignore[attr-defined]
                # one byte more than listed would show that it is still growing
                for chunk in session.chunks(_path(file), file.entry.size + 1):
                    handle.write(chunk)
            got = writer.members[-1]
            if got.bytes != file.entry.size:
                return sftp_drops.moving(candidate, f"[{file.name}] changed while it was read")
            if got.sha256 != part.sha256:
                return sftp_drops.altered(candidate, f"[{file.name}] has not the stated SHA-256")
        for file, raw in candidate.statements:
            form = "json" if file.kind == "manifest" else "sha256"
            with writer.member(file.name, table=file.table, role="manifest", format=form) as handle:
                handle.write(raw)
        return None

    # what is not taken ------------------------------------------------------------------------------

    def _waiting(self, unready: Unready) -> Arrival:
        late = unready.final or (not unready.moving and self._past_grace(f.entry for f in unready.files))
        names = tuple(f.name for f in unready.files)
        return Arrival("refused" if late else "pending", names, None, unready.reason, unready.message)

    def _refused(self, refusal: Refusal) -> Arrival:
        late = not refusal.partial or self._past_grace([refusal.entry])
        return Arrival(
            "refused" if late else "pending", (refusal.name,), None, refusal.reason, refusal.message
        )

    def _past_grace(self, entries: Iterable[Entry]) -> bool:
        """A sender may set a file's time: one that lies ahead is no reason to wait for ever."""
        newest = datetime.fromtimestamp(max(e.mtime for e in entries), UTC)
        age = clock.now() - newest
        return age > timedelta(minutes=self._rules.grace_minutes) or age < -_CLOCK_SKEW


def _path(file: Offered) -> str:
    return f"{INBOX}/{file.name}"
