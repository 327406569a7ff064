"""The embedded cluster's file: Kubernetes objects in SQLite, each write with the next revision of the whole store."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from runs_core.errors import Unavailable
from runs_core.values.effect import Emit
from runs_core.values.nonces import Chain, Nonces
from runs_core.values.quantity import format_time

VERSION = "2"
BUSY_SECONDS = 30.0
ANOTHER = "name one that `cluster init` made"
Object = dict[str, Any]
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE objects (
    kind TEXT, namespace TEXT, name TEXT, uid TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, namespace, name)
) WITHOUT ROWID;
CREATE INDEX objects_by_revision ON objects (revision);
CREATE TABLE gone (revision INTEGER PRIMARY KEY, kind TEXT, namespace TEXT, name TEXT);
CREATE TABLE records (number INTEGER PRIMARY KEY, at TEXT, namespace TEXT, name TEXT, uid TEXT, body TEXT NOT NULL);
CREATE INDEX records_by_run ON records (namespace, name);
CREATE INDEX records_by_time ON records (at);
CREATE TABLE events (
    kind TEXT, namespace TEXT, name TEXT, reason TEXT, message TEXT, warning INTEGER, count INTEGER, first TEXT, last
    TEXT,
    PRIMARY KEY (kind, namespace, name, reason, message)
) WITHOUT ROWID;
"""


class Row(NamedTuple):
    """One object as it stands, or, with body None, the fact that it is gone."""

    kind: str
    namespace: str
    name: str
    revision: int
    body: Object | None


def _text(body: Object) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Store:
    """One connection. Reads outside a transaction see the last committed state; every write is inside `writing`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._sql = connection

    @classmethod
    def create(cls, path: Path, now: str, nonces: Nonces | None = None) -> Store:
        """A new, empty cluster. nonces: of its draws; secret ones if none are given, which nobody can repeat.

        Unavailable: the file is there, or cannot be made.
        """
        nonces = nonces or Nonces(root=secrets.token_hex(32))
        if path.exists() and path.stat().st_size:
            raise Unavailable(f"{path} exists already; choose another name, or remove it")
        store = cls(path, _connect(path))
        with store._or_closed(), store.writing():
            try:
                for statement in _SCHEMA.split(";\n"):
                    store.execute(statement)
            except sqlite3.OperationalError as error:
                raise Unavailable(f"{path} exists already; choose another name, or remove it") from error
            for key, value in (
                ("version", VERSION),
                ("revision", "0"),
                ("head", "0"),
                ("root", nonces.root),
                ("resolutions", "0"),
                ("first", nonces.commitment(1)),
                ("commitment", nonces.commitment(1)),
                ("pruned", "0"),
                ("swept", now),
                ("now", now),
            ):
                store.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
        return store

    @classmethod
    def open(cls, path: Path) -> Store:
        """An existing one. Unavailable: not there, not one of ours, or of another version."""
        if not path.is_file():
            raise Unavailable(f"{path} does not exist; `runs --local {path} cluster init` makes a cluster there")
        store = cls(path, _connect(path, ours=False))
        with store._or_closed():
            try:
                version = store.get_meta("version")
            except (sqlite3.DatabaseError, Unavailable) as error:
                raise Unavailable(f"{path} is not a cluster file of runs: {error}; {ANOTHER}") from error
            if version != VERSION:
                raise Unavailable(f"{path} is of version {version}, this release reads {VERSION}; make a new one")
            with _opening(path):
                _set_up(store._sql)
        return store

    def close(self) -> None:
        self._sql.close()

    @contextmanager
    def _or_closed(self) -> Iterator[None]:
        """What is refused is not left open."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All or nothing. Nobody else writes meanwhile; who has to wait too long gets Unavailable."""
        try:
            self.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise Unavailable(
                f"{self.path}: {error}; another process writes to it for over {BUSY_SECONDS:.0f} s"
            ) from error
        try:
            yield
            self.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._rollback()
            raise Unavailable(f"{self.path} cannot be written: {error}") from error
        except BaseException:
            self._rollback()
            raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Several reads of one state."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            self._rollback()

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Every statement passes here."""
        return self._sql.execute(statement, values)

    def _rollback(self) -> None:
        if self._sql.in_transaction:
            self._sql.execute("ROLLBACK")

    # -- values -----------------------------------------------------------------------------------------------------

    def get_meta(self, key: str) -> str:
        row = self.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise Unavailable(f"{self.path} lacks {key}")
        return str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        self.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))

    @property
    def revision(self) -> int:
        return int(self.get_meta("revision"))

    @property
    def nonces(self) -> Nonces:
        return Nonces(root=self.get_meta("root"))

    @property
    def chain(self) -> Chain:
        """The last resolution that was ever kept, and what it bound."""
        return Chain(number=int(self.get_meta("resolutions")), commitment=self.get_meta("commitment"))

    def set_chain(self, chain: Chain) -> None:
        self.set_meta("resolutions", str(chain.number))
        self.set_meta("commitment", chain.commitment)

    def _next_revision(self) -> int:
        revision = self.revision + 1
        self.set_meta("revision", str(revision))
        return revision

    # -- objects ----------------------------------------------------------------------------------------------------

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        row = self.execute(
            "SELECT body FROM objects WHERE kind = ? AND namespace = ? AND name = ?", (kind, namespace, name)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def find(self, kind: str, namespace: str | None = None) -> list[Object]:
        """By namespace and name. namespace None: all."""
        clause, values = ("", (kind,)) if namespace is None else (" AND namespace = ?", (kind, namespace))
        query = f"SELECT body FROM objects WHERE kind = ?{clause} ORDER BY namespace, name"  # noqa: S608  # a constant clause
        return [json.loads(row[0]) for row in self.execute(query, values)]

    def put(self, kind: str, body: Object) -> int:
        """Write an object as it is, with the next revision as its resourceVersion."""
        revision = self._next_revision()
        meta = body["metadata"]
        meta["resourceVersion"] = str(revision)
        self.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)",
            (kind, meta.get("namespace", ""), meta["name"], meta["uid"], revision, _text(body)),
        )
        return revision

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Take an object away, and remember that it is gone for those who look later."""
        self.execute("DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?", (kind, namespace, name))
        self.execute("INSERT INTO gone VALUES (?, ?, ?, ?)", (self._next_revision(), kind, namespace, name))

    def since(self, revision: int) -> list[Row]:
        """What changed after that revision, in order; only the last of several writes to one object."""
        live = self.execute(
            "SELECT kind, namespace, name, revision, body FROM objects WHERE revision > ?", (revision,)
        ).fetchall()
        gone = self.execute(
            "SELECT kind, namespace, name, revision, NULL FROM gone WHERE revision > ?", (revision,)
        ).fetchall()
        rows = sorted(live + gone, key=lambda row: row[3])
        return [Row(row[0], row[1], row[2], row[3], json.loads(row[4]) if row[4] else None) for row in rows]

    # -- records and events -----------------------------------------------------------------------------------------

    def add_record(self, at: str, namespace: str, name: str, uid: str, body: Object) -> None:
        self.execute(
            "INSERT INTO records (at, namespace, name, uid, body) VALUES (?, ?, ?, ?, ?)",
            (at, namespace, name, uid, _text(body)),
        )

    def records(self, namespace: str, name: str) -> list[Object]:
        """Oldest first."""
        query = "SELECT body FROM records WHERE namespace = ? AND name = ? ORDER BY number"
        return [json.loads(row[0]) for row in self.execute(query, (namespace, name))]

    def add_event(self, event: Emit) -> None:
        """A repeated one is counted, unless it says what goes on being so."""
        at = format_time(event.at)
        again = "NOTHING" if event.once else "UPDATE SET count = count + 1, last = excluded.last"
        self.execute(
            f"INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT DO {again}",  # two constants  # noqa: S608  # constants only
            (event.kind, *event.key, event.reason, event.message, int(event.warning), at, at),
        )

    def events(self, kind: str, namespace: str, name: str) -> list[Object]:
        """By time of first sight."""
        query = (
            "SELECT reason, message, warning, count, first, last FROM events "
            "WHERE kind = ? AND namespace = ? AND name = ? ORDER BY first, reason"
        )
        keys = ("reason", "message", "warning", "count", "first", "last")
        return [dict(zip(keys, row, strict=True)) for row in self.execute(query, (kind, namespace, name))]

    def prune(self, before: str, *, gone_up_to: int) -> None:
        """Forget records and events from before that time, and what was gone up to that revision."""
        self.execute("DELETE FROM records WHERE at < ?", (before,))
        self.execute("DELETE FROM events WHERE last < ?", (before,))
        self.execute("DELETE FROM gone WHERE revision <= ?", (gone_up_to,))
        self.set_meta("pruned", str(max(gone_up_to, int(self.get_meta("pruned")))))


def _connect(path: Path, *, ours: bool = True) -> sqlite3.Connection:
    """ours: it is, or becomes, a file of a cluster; any other is not to be written to."""
    with _opening(path):
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if ours:
                _set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Unavailable(f"{path} cannot be opened: {error}; name a file in a folder that can be written") from error
    except sqlite3.Error as error:
        raise Unavailable(f"{path} cannot be opened: {error}; {ANOTHER}") from error


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """Unavailable: SQLite cannot read or write the file any more, as when it is damaged or the disk is full."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        raise Unavailable(f"{path} cannot be used: {error}; make room for it, or go back to a copy") from error
