"""What lies in place of a model's file where a download went wrong: a pointer of git-lfs, a web page."""

from __future__ import annotations

__all__ = ["ENOUGH", "what_else"]

ENOUGH = 512  # bytes of the start of a file that tell

_POINTER = b"version https://git-lfs"
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<svg")


def what_else(start: bytes) -> str:
    """What a file is that should hold part of a model, told by its start.

    Parameters
    ----------
    start : bytes
        `ENOUGH` of them.

    Returns
    -------
    str
        Its kind, and what to do; "" for all else.
    """
    if start.startswith(_POINTER):
        return (
            "a pointer of git-lfs, a text that only names the file: fetch the file itself with 'git lfs pull', or "
            "download the model again"
        )
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return (
            "a web page, such as a sign-in or an error, saved in the file's place: download the model again, signed in "
            "where that is needed"
        )
    return ""
