"""What can go wrong with the embedded server; each text is one line that says what to do.

PostgresError
├── AccountRefused     no operating-system user to run the server as
├── BinariesMissing    no server programs for this machine, or none for the data's version
├── DumpFailed         a dump could not be written, read or put back
├── FolderRefused      a folder is in the way, belongs to somebody else, or cannot be reached
├── StartFailed        the server did not come up
└── StopFailed         the server did not go down
"""


class PostgresError(Exception):
    """The embedded server cannot do what was asked."""


class AccountRefused(PostgresError):
    """There is no operating-system user that the server may run as."""


class BinariesMissing(PostgresError):
    """The programs that are needed are not installed."""


class DumpFailed(PostgresError):
    """The database could not be written to a file, or the file not put into the database."""


class FolderRefused(PostgresError):
    """A folder that is needed cannot be used as it is."""


class StartFailed(PostgresError):
    """The server did not come up."""


class StopFailed(PostgresError):
    """The server did not go down."""
