"""The way to a partner's outbox, and what is there already."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from leadhub.foundation import files, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.ledger import Entry
from leadhub.release import package


@dataclass(frozen=True)
class Channel:
    """The partner's outbox.

    `deliver(folder, remote)` makes the folder visible under that name, all at once. `read(remote)`
    gives the bytes of a remote file, None where there is none. Both raise TransientError.
    """

    deliver: Callable[[Path, str], object]
    read: Callable[[str], bytes | None]

    def arrived(self, intent: Entry, remote: str, local: Path, certificate: bytes) -> str | None:
        """SHA-256 of the manifest in the outbox where it is this delivery's, None where there is none.

        `local`: the package as it was staged; `certificate`: the hub's own. Raises: TerminalError
        `state_invalid` where somebody else's delivery stands there.
        """
        theirs = self.read(f"{remote}/{package.MANIFEST}")
        if theirs is None:
            return None
        digest = files.sha256_bytes(theirs)
        if digest != intent.manifest_sha256 and not self._is_ours(theirs, remote, local, certificate):
            raise TerminalError(
                "state_invalid",
                f"the outbox holds another delivery as [{remote}]; find out whose, and move it away",
            )
        return digest

    def _is_ours(self, theirs: bytes, remote: str, local: Path, certificate: bytes) -> bool:
        """Delivered before this state was restored from a backup: our signature, the same plaintext."""
        manifest = local / package.MANIFEST
        signature = self.read(f"{remote}/{package.SIGNATURE}")
        if signature is None or not manifest.exists():
            return False
        try:
            openpgp.verify_detached(theirs, signature, certificate)
        except TerminalError:
            return False
        return package.same_content(json.loads(theirs), files.read_json(manifest))
