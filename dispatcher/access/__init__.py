"""Users of the server: which roles there are, what each may do, and where passwords come from."""

from .passwords import Password, make_password, password_hash, read_password
from .roles import (
    ROLES,
    SERVER_ROLES,
    Role,
    check_publishers,
    file_line,
    publisher_role,
    service_roles,
    setuser_words,
)

__all__ = [
    "ROLES", "SERVER_ROLES", "Password", "Role", "check_publishers", "file_line", "make_password", "password_hash",
    "publisher_role", "read_password", "service_roles", "setuser_words",
]  # fmt: skip
