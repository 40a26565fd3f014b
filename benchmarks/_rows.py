"""A table of results that grows row by row, so that a benchmark goes on where it stopped."""

import csv
from pathlib import Path

import pandas

RESULTS = Path(__file__).parent / "results"


class Rows:
    """A CSV file; rows are told apart by their leading `n_keys` fields."""

    def __init__(self, name, fields, n_keys):
        self.path = RESULTS / f"{name}.csv"
        self.fields, self._n_keys = fields, n_keys
        self._done = set()
        self._drop_unfinished()
        if self.path.exists():
            with self.path.open(newline="") as file:
                found, *rows = csv.reader(file)
            if tuple(found) != tuple(fields):
                raise ValueError(f"{self.path} has the columns {found}, not {list(fields)}.")
            self._done = {self._key(row) for row in rows}

    def _drop_unfinished(self):
        """A last row that was interrupted while it was written."""
        text = self.path.read_bytes() if self.path.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        if whole != text:
            self.path.write_bytes(whole)
        if not whole:
            self.path.unlink(missing_ok=True)

    def _key(self, values):
        return tuple(str(value) for value in values)[: self._n_keys]

    def __contains__(self, keys):
        return self._key(keys) in self._done

    def table(self):
        """All rows, as a pandas table."""
        return pandas.read_csv(self.path)

    def add(self, *values):
        """Append a row and write it to the disk."""
        self.path.parent.mkdir(exist_ok=True)
        is_new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if is_new:
                writer.writerow(self.fields)
            writer.writerow(values)
        self._done.add(self._key(values))
