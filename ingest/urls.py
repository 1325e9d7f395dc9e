"""What the fetcher takes from a URL: whose turn it is, and what errors and logs may show of it."""

import re
from urllib.parse import urlsplit

_USER = re.compile(r"//[^/?#]*@")
_QUERY = re.compile(r"([?&])([^=&#]*=)?[^&#]*")


def host_of(url: str) -> str:
    """Host and port in lower case, by which sites are told apart: whoever signs in there asks the same machine."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def shown(url: str) -> str:
    """`url` without user and password, and with the values of its query masked: keys of APIs stand in both."""
    address, mark, rest = _USER.sub("//", url, count=1).partition("?")
    return address + _QUERY.sub(lambda found: f"{found[1]}{found[2] or ''}***", mark + rest)
