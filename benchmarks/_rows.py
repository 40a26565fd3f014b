"""A table of results that grows row by row, so that a benchmark goes on where it stopped."""

import contextlib
import csv
import fcntl
import io
import os
from pathlib import Path

import _extra  # noqa: F401  pandas may be missing
import pandas

RESULTS = Path(__file__).parent / "results"


class Rows:
    """A CSV file that several runs may add to; the leading `n_keys` fields tell rows apart."""

    def __init__(self, name, fields, n_keys):
        self.path = RESULTS / f"{name}.csv"
        self.fields, self.n_keys = fields, n_keys
        self._done = set()
        if self.path.exists():
            with self._locked() as file:
                self._read(file)

    @contextlib.contextmanager
    def _locked(self):
        self.path.parent.mkdir(exist_ok=True)
        while True:
            with self.path.open("a+", newline="", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
                    yield file
                    return
            # Another run has replaced the file meanwhile.

    def _read(self, file):
        """The header and the rows, noting which these are; nothing of a table not begun.

        A last row that was interrupted while it was written goes.
        """
        file.seek(0)
        text = file.read()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            file.truncate(len(whole.encode()))
        lines = list(csv.reader(io.StringIO(whole)))
        found, *rows = lines or [self.fields]
        if tuple(found) != tuple(self.fields):
            raise ValueError(f"{self.path} has the columns {found}, not {list(self.fields)}.")
        self._done = {self._key(row) for row in rows}
        return lines

    def _key(self, values):
        return tuple(str(value) for value in values)[: self.n_keys]

    def _by_field(self, row):
        return dict(zip(self.fields, row, strict=True))

    def __contains__(self, keys):
        return self._key(keys) in self._done

    def count(self, is_counted):
        """Of how many rows, as dicts, it is true."""
        if not self.path.exists():
            return 0
        with self._locked() as file:
            _, *rows = self._read(file) or [self.fields]
        return sum(is_counted(self._by_field(row)) for row in rows)

    def drop(self, is_dropped):
        """Forget the rows, as dicts, of which it is true: they are run again."""
        with self._locked() as file:
            self._drop(file, is_dropped)

    def replace(self, job, rows):
        """Of all that begins with the keys of a job, keep these rows alone."""
        job = tuple(map(str, job))
        with self._locked() as file:
            self._drop(file, lambda row: tuple(row.values())[: len(job)] == job)
        for row in rows:
            self.add(*job, *row)

    def _drop(self, file, is_dropped):
        _, *rows = self._read(file) or [self.fields]
        kept = [row for row in rows if not is_dropped(self._by_field(row))]
        if len(kept) < len(rows):
            # Another file takes its place once it is whole: an interruption loses nothing.
            new = self.path.with_suffix(".new")
            with new.open("w", newline="", encoding="utf-8") as rewritten:
                csv.writer(rewritten, lineterminator="\n").writerows([self.fields, *kept])
            new.replace(self.path)
            self._done = {self._key(row) for row in kept}

    def table(self):
        """All rows, as a pandas table."""
        return pandas.read_csv(self.path)

    def add(self, *values):
        """Append a row and write it to the disk, unless another run has done so."""
        values = [" ".join(str(value).splitlines()) for value in values]
        with self._locked() as file:
            is_begun = self._read(file)
            if self._key(values) not in self._done:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerows([values] if is_begun else [self.fields, values])
                self._done.add(self._key(values))
