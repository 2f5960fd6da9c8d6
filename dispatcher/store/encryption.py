"""Why an encrypted connection did not come about, for people: what a TLS library says is about itself."""

import ssl

_WANTED = (
    "the server wants a certificate of ours: give its file as SLUICE_TLS_CERT and that of its key as SLUICE_TLS_KEY"
)
_FAULTS = (
    ("CERTIFICATE_REQUIRED", _WANTED),
    ("HANDSHAKE_FAILURE", _WANTED),
    ("UNKNOWN_CA", "the server does not trust our certificate: have SLUICE_TLS_CERT signed by the CA that it trusts"),
    ("EXPIRED", "the server refuses our certificate: SLUICE_TLS_CERT has expired"),
    ("KEY_VALUES_MISMATCH", "the key does not belong to the certificate: SLUICE_TLS_KEY, SLUICE_TLS_CERT"),
    ("WRONG_VERSION_NUMBER", "the server speaks no TLS at this port: use its TLS port, or redis:// in the address"),
    ("RECORD_LAYER_FAILURE", "the server speaks no TLS at this port: use its TLS port, or redis:// in the address"),
)
_CUT = ("reset by peer", "closed by server", "broken pipe", "connection lost", "transport closed", "eof occurred")
_UNTRUSTED = "its certificate is not trusted: give the file of the CA that signed it as SLUICE_TLS_CA"
_ANOTHER = "its certificate is for another name: use the name that it is for in SLUICE_REDIS_URL"
_EXPIRED = "its certificate has expired, or is not valid yet: replace it, or look at this machine's clock"


def encryption_fault(error: BaseException | None) -> str | None:
    """What is wrong with certificates, and what to do; None where they are not the reason."""
    found: BaseException | None = error
    seen: set[int] = set()
    while found is not None and id(found) not in seen:
        if isinstance(found, ssl.SSLError):
            return _explained(found)
        seen.add(id(found))
        found = found.__cause__ or found.__context__
    return _told(str(error)) if "SSL" in str(error) else None


def perhaps(url: str, said: str) -> str:
    """What may be the reason when a connection is cut, or comes to nothing, at once; '' for no idea.

    A server that refuses a certificate, or wants TLS, may say so and cut the connection: what it said can be lost.
    """
    is_encrypted, said = url.startswith("rediss"), said.lower()
    if any(word in said for word in _CUT):
        if not is_encrypted:
            return "; does it want TLS? Then the address begins with rediss://"
        if "ssl_certfile" in url:
            return "; does it trust our certificate, SLUICE_TLS_CERT?"
        return "; does it want a certificate of ours? SLUICE_TLS_CERT, SLUICE_TLS_KEY"
    if is_encrypted and "timeout" in said.replace("timed out", "timeout"):
        return "; does it speak TLS at this port? Else the address begins with redis://"
    return ""


def _explained(error: ssl.SSLError) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        said = error.verify_message.lower()
        if "mismatch" in said or "doesn't match" in said or "not valid for" in said:
            return _ANOTHER
        return _EXPIRED if "expired" in said or "not yet valid" in said else f"{_UNTRUSTED} ({error.verify_message})"
    return _told(str(error))


def _told(said: str) -> str | None:
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return _UNTRUSTED
    known = said.upper().replace(" ", "_")
    return next((fault for word, fault in _FAULTS if word in known), None)  # else it broke, as any connection may
