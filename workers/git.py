"""How git is called: the words of a clone, and an environment in which it asks nobody and tells no secret."""

from collections.abc import Iterator, Mapping

from dispatcher.deployments.pull_steps import GitClone

_KEPT = (
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_SSL_",
    "GIT_SSH",
    "GIT_PROXY_",
    "GIT_HTTP_",
)
_REMOTE = "git:http:https:ssh"
_DEFAULT_USER = "oauth2"
"""GitHub takes any name with a token, GitLab this one; others are written `name:token`."""
# A helper answers for one origin only, so no redirect and no submodule elsewhere is given the token.
_HELPER = (
    '!helper() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$SLUICE_GIT_USER" "$SLUICE_GIT_TOKEN"; }; helper'
)


def clone_words(step: GitClone, target: str) -> Iterator[tuple[str, ...]]:
    """The commands of a clone into `target`, in order. Only the history that is wanted is brought."""
    branch = ("--branch", step.branch) if step.branch and not step.commit_sha else ()
    yield (
        "git", "clone", "--quiet", "--no-checkout", "--depth", "1", "--no-tags", *branch, "--", step.repository, target
    )  # fmt: skip
    here = ("git", "-C", target)
    if step.directories:
        yield (*here, "sparse-checkout", "set", *step.directories)
    if step.commit_sha:
        yield (*here, "fetch", "--quiet", "--depth", "1", "--no-tags", "origin", step.commit_sha)
        yield (*here, "checkout", "--quiet", "--detach", step.commit_sha)
    else:
        yield (*here, "checkout", "--quiet")
    if step.include_submodules:
        yield (*here, "submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1")
    yield (*here, "log", "-1", "--no-show-signature", "--format=cloned %H %s")  # for who reads the run's log


def git_environment(base: Mapping[str, str], step: GitClone, token: str | None) -> dict[str, str]:
    """The worker's environment, without what would point git elsewhere, and with the token for its origin only."""
    found = {name: value for name, value in base.items() if not name.startswith("GIT_") or name.startswith(_KEPT)}
    settings = {"advice.detachedHead": "false", "gc.auto": "0"}
    found |= {
        "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never",
        "LC_ALL": "C.UTF-8",
        # A repository from elsewhere must not name files of this machine as its submodules.
        "GIT_ALLOW_PROTOCOL": f"file:{_REMOTE}" if step.repository.startswith("file:") else _REMOTE,
    }  # fmt: skip
    if token is not None:
        user, colon, password = token.partition(":")
        found |= {
            "SLUICE_GIT_USER": user if colon else _DEFAULT_USER, "SLUICE_GIT_TOKEN": password if colon else token
        }  # fmt: skip
        settings[f"credential.{step.origin}.helper"] = _HELPER
    return found | _as_variables(settings, reset=None if token is None else f"credential.{step.origin}.helper")


def _as_variables(settings: Mapping[str, str], reset: str | None) -> dict[str, str]:
    """Settings of git as its variables say them; an empty helper first makes it forget those of its own files."""
    rows = [*([(reset, "")] if reset else []), *settings.items()]
    found = {"GIT_CONFIG_COUNT": str(len(rows))}
    for number, (name, value) in enumerate(rows):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return found
