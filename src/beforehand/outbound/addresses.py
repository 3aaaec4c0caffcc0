"""How an e-mail address is written where machines read it: in an SMTP command and in a header, between < and >."""

import re

# RFC 5321 §4.1.2 and RFC 6531 §3.3, without quoted local parts: legal, unused, and a way to say more than an address.
_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~."
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,253}")
_ASCII = re.compile(rf"[{_ATEXT}-]{{1,190}}@{_HOST.pattern}")
_BEYOND = r"\x00-\x7f\x80-\xa0\u1680\u2000-\u200a\u2028-\u202f\u205f\u2060-\u206f\u3000\ufeff\ud800-\udfff"
_ANY = re.compile(rf"(?:[{_ATEXT}-]|[^{_BEYOND}]){{1,190}}@(?:[A-Za-z0-9.-]|[^{_BEYOND}]){{1,253}}")


class AddressRefusedError(ValueError):
    """No e-mail address can look like this; the text says so to the one who can mend it."""


def wire_address(address: str) -> bytes:
    """The address as bytes; the domain as DNS writes it. Not ASCII only where the local part is not (SMTPUTF8).

    Nothing that could end a command, a header or the brackets comes through. Raises AddressRefusedError.
    """
    if address.isascii():
        if _ASCII.fullmatch(address) is None:
            raise AddressRefusedError("this is not an e-mail address")
        return address.encode("ascii")
    if _ANY.fullmatch(address) is None:
        raise AddressRefusedError("this is not an e-mail address")
    local, _, domain = address.rpartition("@")
    try:
        host = domain.encode("idna").decode("ascii")
    except UnicodeError:
        host = ""
    if _HOST.fullmatch(host) is None:  # asked again: IDNA turns some characters into spaces and signs
        raise AddressRefusedError("the domain of this address cannot be written in DNS")
    return f"{local}@{host}".encode()
