"""What the command lines of the programs have in common; what is wrong is said before any work."""

import argparse
from pathlib import Path

from _data import NAMES
from _rows import Rows

ENCODERS = ("auto", "linear", "multilinear", "mlp", "conv")


class _AsWritten(argparse.RawDescriptionHelpFormatter):
    """The lines of a description as they are, and the defaults that there are behind a help."""

    def _get_help_string(self, action):
        has_one = action.default not in (None, False, argparse.SUPPRESS)
        return action.help + (" (default: %(default)s)" if has_one else "")


def parser_of(description):
    """A parser whose help is the module's docstring."""
    return argparse.ArgumentParser(description=description, formatter_class=_AsWritten)


def quoted(names):
    """All of them, as they are written on a command line."""
    return ", ".join(map(repr, names))


def one_of(known):
    """A type for argparse: one of these names, which hold commas and are quoted therefore."""

    def name(text):
        if text not in known:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {quoted(known)}")
        return text

    return name


data_name = one_of(NAMES)
encoder_name = one_of(ENCODERS)


def data_and_encoder(*more):
    """A type for argparse: DATA:ENCODER, of the data sets and these."""
    one = one_of((*NAMES, *more))

    def pair(text):
        data, colon, encoder = text.partition(":")
        if not colon:
            raise argparse.ArgumentTypeError(f"must be DATA:ENCODER, got {text!r}")
        return one(data), encoder_name(encoder)

    return pair


def _at_least(least):
    """A type for argparse: a whole number, that or more."""

    def number(text):
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more, got {text}")
        return int(text)

    return number


def table_name(text):
    """A type for argparse: the name of a table, which lies in results/ and nowhere else."""
    if not text or Path(text).name != text or text.startswith("."):
        raise argparse.ArgumentTypeError(f"must be a name without a folder, got {text!r}")
    return text


positive = _at_least(1)
not_negative = _at_least(0)


def add_options(parser, n_splits, name):
    """Those of all programs whose jobs `run_missing` runs."""
    parser.add_argument("--name", type=table_name, default=name, help="of the table in results/")
    parser.add_argument("--splits", type=positive, default=n_splits, help="the first so many")
    parser.add_argument(
        "--limit",
        type=positive,
        default=3600,
        help="seconds, of one job in its process",
    )
    parser.add_argument("--workers", type=positive, default=2, help="jobs that run at a time")
    parser.add_argument("--again", action="store_true", help="also what failed")


def table_of(parser, name, fields, n_keys):
    """The table of that name; an error of the parser where it is one of another benchmark."""
    try:
        return Rows(name, fields, n_keys)
    except ValueError as error:
        return parser.error(str(error))
