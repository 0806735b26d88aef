"""Reads one cookie of a request, in one pass.

`http.cookies` takes 6 s for 64 KB of backslashes before Python 3.11.10, 3.12.6 and 3.13
(CVE-2024-7592), and Starlette's `request.cookies` uses it.
"""

from __future__ import annotations


def cookie(header: str, name: str) -> str:
    """The value of a cookie; empty where there is none, or more than one.

    Args:
        header: all cookies, as `Cookie` has them (RFC 6265, 4.2).
        name: the cookie's.
    """
    values = [
        value.strip(" \t")
        for key, equals, value in (part.partition("=") for part in header.split(";"))
        if equals and key.strip(" \t") == name
    ]
    if len(values) != 1:
        return ""
    (value,) = values
    # RFC 6265 allows quotes around a value; what this server sets needs none, and no backslash.
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
