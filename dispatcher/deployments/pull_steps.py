"""What a run's pull steps may say: clone a repository, choose a folder. Checked before any of it is done."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError

from ..documents import Fault, StrictModel, Words, checked_by, faults_of
from ..errors import InvalidInput

_PREFECT = "prefect.deployments.steps."
_SCHEMES = ("file", "git", "http", "https", "ssh")
_SCP = re.compile(r"(?:[\w.+-]+@)?[A-Za-z0-9][\w.-]*:(?!:)[^\s:][^\s]*")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE_IN_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _word(text: str) -> str:
    """Git would read what begins with `-` as an option."""
    if not text or text.startswith("-") or _CONTROL.search(text):
        raise InvalidInput(f"{text[:60]!r} is empty, begins with `-` or has control characters")
    return text


def _commit(text: str) -> str:
    if not _COMMIT.fullmatch(text):
        raise InvalidInput(f"{text[:70]!r} is no whole commit id: 40 or 64 of 0-9a-f")
    return text


def _inside(text: str) -> str:
    if PurePosixPath(_word(text)).is_absolute() or ".." in PurePosixPath(text).parts:
        raise InvalidInput(f"{text[:60]!r} is no folder of the repository: a path from its root, without ..")
    return text


def _repository(text: str) -> str:
    """An address with nothing secret in it: argument lists can be read by every process of the machine."""
    if _word(text).startswith("/"):
        return "file://" + text
    scheme, found, _ = text.partition("://")
    if not found:
        if not _SCP.fullmatch(text):
            raise InvalidInput("is no repository: an address such as https://host/name.git, user@host:name or a path")
        return text
    if scheme not in _SCHEMES:
        raise InvalidInput(f"{scheme[:20]!r} is no protocol for a clone: one of {', '.join(_SCHEMES)}")
    parts = urlsplit(text)
    if parts.password is not None or (scheme.startswith("http") and parts.username is not None):
        raise InvalidInput("the address holds a name or a password: leave it out, and give an access_token")
    return text


Word = Annotated[str, checked_by(_word)]


class SecretReference(StrictModel):
    """Where the worker finds a secret: `env:NAME` or `file:/path`."""

    secret_ref: str = Field(alias="secretRef", pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$")


class SetWorkingDirectory(StrictModel):
    """Go on in this folder: absolute, or seen from where we are; `{{ id.directory }}` is the clone of that step."""

    directory: Word


class GitClone(StrictModel):
    """Clone a repository into the run's own folder and go on in it.

    `commit_sha` wins over `branch`, which may be a tag. `directories` are the only ones that are checked out.
    """

    repository: Annotated[str, checked_by(_repository)]
    id: Word | None = None
    branch: Word | None = None
    commit_sha: Annotated[str, checked_by(_commit)] | None = None
    include_submodules: bool = False
    directories: Annotated[Words, AfterValidator(lambda found: tuple(checked(_inside, found)))] = ()
    access_token: SecretReference | None = None

    @property
    def origin(self) -> str:
        """Scheme and host: who may be given the access token."""
        parts = urlsplit(self.repository)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def folder_name(self) -> str:
        """What its folder is called."""
        last = re.split(r"[/:]", self.repository.rstrip("/"))[-1].removesuffix(".git")
        return _UNSAFE_IN_NAME.sub("-", last).lstrip(".-") or "repository"


Step = SetWorkingDirectory | GitClone
_KINDS: Mapping[str, type[Step]] = {"set_working_directory": SetWorkingDirectory, "git_clone": GitClone}


def checked(check: Any, values: Sequence[str]) -> list[str]:
    """Each value as a check returns it. Raises ValueError, as pydantic wants it."""
    try:
        return [check(value) for value in values]
    except InvalidInput as error:
        raise ValueError(str(error)) from None


def read_steps(pull: Sequence[Mapping[str, Any]]) -> list[Step]:
    """The steps, in order. Raises InvalidInput with all faults and their places."""
    if faults := step_faults(pull):
        raise InvalidInput("; ".join(f"{fault.pointer}: {fault.text}" for fault in faults))
    return [_step(row) for row in pull]


def step_faults(pull: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """What is wrong with the steps of a document."""
    faults: list[Fault] = []
    for number, row in enumerate(pull):
        try:
            _step(row)
        except ValidationError as error:
            faults += faults_of(error, f"/pull/{number}")
        except InvalidInput as error:
            faults.append(Fault(f"/pull/{number}", str(error)))
    return faults


def _step(row: Any) -> Step:
    if not isinstance(row, Mapping) or len(row) != 1:
        raise InvalidInput("a step has exactly one key, its kind")
    ((kind, values),) = row.items()
    model = _KINDS.get(str(kind).removeprefix(_PREFECT))
    if model is None:
        raise InvalidInput(f"{str(kind)[:80]!r} is no step that a worker executes: {' or '.join(_KINDS)}")
    step = model.model_validate(values)
    if isinstance(step, GitClone) and step.access_token:
        _check_token_is_safe(step)
    return step


def _check_token_is_safe(step: GitClone) -> None:
    parts = urlsplit(step.repository)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise InvalidInput("access_token: is sent to https repositories only")
