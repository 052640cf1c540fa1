"""The program `napari-nninteractive`: finds the command, loads only that one, and turns errors into one line."""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.util
import logging
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn, Protocol, cast

from napari_nninteractive.cli.remedies import said
from napari_nninteractive.cli.terminal import OutputClosed, note, say
from napari_nninteractive.errors import NNInteractiveError

__all__ = ["COMMANDS", "build_parser", "main"]

PROGRAM = "napari-nninteractive"
EXIT_ERROR, EXIT_INTERRUPTED, EXIT_UNREAD = 2, 130, 141
_NOT_HERE = "Choose another place, or change who may write there."
_REMEDIES = {
    errno.EACCES: _NOT_HERE,
    errno.EPERM: _NOT_HERE,
    errno.EROFS: "Choose another place.",
    errno.EEXIST: "Choose another name.",
    errno.EISDIR: "It is a folder: name a file.",
    errno.ENOTDIR: "Part of it is a file: name a folder.",
    errno.ENOENT: "Check its name and folder.",
    errno.ENOSPC: "Free some space, or choose another disk.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}

# Every command is a module of this package with `DESCRIPTION`, `add_arguments(parser)` and `run(args) -> int`, and
# perhaps `USAGE`: its most important words.
COMMANDS = {
    "demo": "try it: segment an object of a synthetic stack from one click, correct it with a second",
    "segment": "segment one object of an image file from prompts",
    "evaluate": "measure a model with a simulated user on volumes with truth",
    "learn": "learn from finished objects, so that the next first click is better",
    "train": "train a model of your own",
    "gallery": "draw the synthetic scenes that models are trained on",
    "models": "list, download and check models, read their licences",
    "info": "device, precision, versions, and the time and memory to expect",
    "launch": "open napari with the widget",
}


class Command(Protocol):
    """A module of this package that is a command."""

    DESCRIPTION: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code."""
        ...


class _Parser(argparse.ArgumentParser):
    """Reports mistakes in one line."""

    def error(self, message: str) -> NoReturn:
        if "expected one argument" in message:
            message += (
                " (a value that begins with a minus sign cannot be one: coordinates count from 0)"
            )
        note(f"{PROGRAM}: error: {message}; see {self.prog} --help")
        raise SystemExit(EXIT_ERROR)


def _available() -> dict[str, str]:
    return {
        name: text for name, text in COMMANDS.items() if importlib.util.find_spec(_module(name))
    }


def _module(name: str) -> str:
    return f"{__package__}.{name}"


def _load(name: str) -> Command:
    return cast(Command, importlib.import_module(_module(name)))


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Parser of the whole program.

    Parameters
    ----------
    only : str, optional
        The command whose arguments are wanted; the modules of the others are not loaded. All by default.

    Returns
    -------
    argparse.ArgumentParser
        The parser; the chosen command is `command` in what it parses.
    """
    parser = _Parser(
        prog=PROGRAM,
        description="Interactive 3D segmentation: prompts in, whole objects out.",
        epilog=f"{PROGRAM} COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    parser.add_argument(
        "--debug", action="store_true", help="show the whole trace of an error, and log messages"
    )
    parser.add_argument(
        "--print-completion",
        choices=("bash", "zsh", "tcsh"),
        metavar="SHELL",
        help="print a script that completes commands and options in bash, zsh or tcsh",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, text in _available().items():
        if only is not None and name != only:
            commands.add_parser(name, help=text, add_help=False)
            continue
        command = _load(name)
        part = commands.add_parser(
            name,
            help=text,
            usage=f"{PROGRAM} {name} {getattr(command, 'USAGE', '[options]')}",
            description=command.DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # Absent unless given, so that it does not undo the one before the command.
        part.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show the whole trace of an error, and log messages",
        )
        command.add_arguments(part)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv : sequence of str, optional
        Words after the program's name; those of the process by default.

    Returns
    -------
    int
        0: done; 1: done, and the answer is no (a check that failed); 2: an error, explained in one line on standard
        error; 130: interrupted; 141: nobody reads the output any more.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    # An empty name loads no command: `--help` and mistakes are answered at once.
    parser = build_parser(only=next((w for w in words if w in COMMANDS), ""))
    debug = "--debug" in words
    try:
        args = _parse(parser, words)
        if args.command is None:
            say(_without_command(args, parser))
            return 0
        logging.basicConfig(format="%(message)s")
        if debug:
            logging.getLogger("napari_nninteractive").setLevel(logging.DEBUG)
        return _load(args.command).run(args)
    except SystemExit as stop:  # argparse ends this way, also after --help
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        note("interrupted")
        return EXIT_INTERRUPTED
    except OutputClosed:
        # What is still buffered goes nowhere: else Python complains when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNREAD
    except (NNInteractiveError, OSError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        note(f"{PROGRAM}: error: {_one_line(error)}")
        return EXIT_ERROR


def _parse(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """Read the words; of those that nothing knows, say whose help lists what there is."""
    args, unknown = parser.parse_known_args(words)
    if unknown:
        place = (PROGRAM, args.command, getattr(args, "action", None))
        help_of = " ".join(part for part in place if part)
        note(f"{PROGRAM}: error: unrecognized arguments: {' '.join(unknown)}; see {help_of} --help")
        raise SystemExit(EXIT_ERROR)
    return args


def _without_command(args: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """Answer to words that name no command."""
    if args.version:
        from napari_nninteractive import __version__

        return f"{PROGRAM} {__version__}"
    if args.print_completion:
        from napari_nninteractive.cli.completion import script

        return script(build_parser(), args.print_completion)
    return parser.format_help().rstrip()


def _one_line(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return (
            f"there is not enough memory ({error}): close other programs, or use a smaller image."
        )
    if isinstance(error, OSError) and error.strerror:
        what = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        return f"{what}. {_REMEDIES.get(error.errno or 0, '')}".rstrip()
    text = " ".join(said(error).split()) or type(error).__name__
    return re.sub(r"\b\d{40,}\b", _shorter, text)


def _shorter(number: re.Match[str]) -> str:
    """Write a number of very many digits so that the line can be read."""
    digits = number[0]
    return f"{digits[0]}.{digits[1:3]}e{len(digits) - 1}"


if __name__ == "__main__":
    raise SystemExit(main())
