"""Formats of JSON Schema as regular expressions: each allows less than the format, never more."""

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(\.{_LABEL}){{0,4}}"
_BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PATH = r"(/[A-Za-z0-9._~-]{0,100}){0,10}"
_URI = rf"https?://{_HOST}(:[1-9][0-9]{{0,3}})?{_PATH}(\?[A-Za-z0-9._~=&-]{{0,200}})?"
_WORD = r"[A-Za-z0-9_+-]{1,30}"
_DAY = r"(0[1-9]|1[0-9]|2[0-8])"
_DATE = rf"[1-9][0-9]{{3}}-(0[1-9]|1[0-2])-{_DAY}"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"

FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": r"P([1-9][0-9]{0,3}(D(T[1-9][0-9]{0,3}[HMS])?|W|M|Y)|T[1-9][0-9]{0,3}[HMS])",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "email": rf"{_WORD}(\.{_WORD}){{0,3}}@{_LABEL}(\.{_LABEL}){{1,4}}",
    "hostname": _HOST,
    "ipv4": rf"({_BYTE}\.){{3}}{_BYTE}",
    "ipv6": r"([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}",
    "uri": _URI,
    "uri-reference": rf"({_URI}|{_PATH})",
    "uri-template": _URI,
    "json-pointer": r"(/[A-Za-z0-9_-]{1,100}){0,10}",
    "relative-json-pointer": r"[0-9](/[A-Za-z0-9_-]{1,100}){0,10}",
    "regex": r"[A-Za-z0-9 ]{1,100}",
}
FORMATS |= {
    "ip-address": FORMATS["ipv4"],
    "host-name": FORMATS["hostname"],
    "idn-email": FORMATS["email"],
    "idn-hostname": FORMATS["hostname"],
    "iri": FORMATS["uri"],
    "iri-reference": FORMATS["uri-reference"],
    "url": FORMATS["uri"],
}
