"""What `deployment create` and `update` may say of a deployment, as options."""

from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from ..errors import InvalidInput
from .values import duration, instant, job_variables, parameters

Repeated = tuple[str, ...]
Text = str | None


@Parameter(name="*")
@dataclass(frozen=True)
class Description:
    """Options of a deployment; what is not given stays as it is."""

    queue: Annotated[Text, Parameter(help="The work queue of its runs.")] = None
    function: Annotated[Text, Parameter(help="A function that is registered with the workers.")] = None
    command: Annotated[Text, Parameter(help="A command instead, its words as in a shell.")] = None
    shell: Annotated[Text, Parameter(help="A script for `sh -eu -c` instead.")] = None
    entrypoint: Annotated[Text, Parameter(help="`file.py:function` or `package.module:function` instead.")] = None
    param: Annotated[Repeated, Parameter(help="name=value, the value JSON or else text; repeatable.")] = ()
    variable: Annotated[Repeated, Parameter(name="--job-variable", help="name=value; repeatable.")] = ()
    env: Annotated[Repeated, Parameter(help="NAME=value for its processes; repeatable.")] = ()
    working_dir: Annotated[Text, Parameter(help="Where its processes run.")] = None
    description: Annotated[Text, Parameter(help="For people.")] = None
    version: Annotated[Text, Parameter(help="Of what it runs, for people.")] = None
    tag: Annotated[Repeated, Parameter(help="A word to find its runs by; repeatable.")] = ()
    label: Annotated[Repeated, Parameter(help="What its worker must have; repeatable.")] = ()
    key: Annotated[Repeated, Parameter(help="A concurrency key, `tenant:{{ parameters.tenant }}`; repeatable.")] = ()
    limit: Annotated[Text, Parameter(help="Most of its runs at once, or `none`.")] = None
    when_full: Annotated[Text, Parameter(help="One more: wait, skip, replace, wait_one.")] = None
    retries: Annotated[int | None, Parameter(help="How often a run is tried again when it fails.")] = None
    timeout: Annotated[Text, Parameter(help="A run fails when it takes longer, e.g. 10m.")] = None
    expires: Annotated[Text, Parameter(help="A run not started so long after it was due is dropped.")] = None
    cache_key: Annotated[Text, Parameter(help="Runs with the same key share a result, `day:{{ parameters.day }}`.")] = (
        None
    )
    cache_for: Annotated[Text, Parameter(help="How long a result is reused, e.g. 1d.")] = None
    cron: Annotated[Repeated, Parameter(help="Due by a cron expression; repeatable.")] = ()
    every: Annotated[Repeated, Parameter(help="Due every so long, e.g. 30m; repeatable.")] = ()
    rrule: Annotated[Repeated, Parameter(help="Due by a recurrence rule; repeatable.")] = ()
    at: Annotated[Repeated, Parameter(help="Due once, at an instant with its zone; repeatable.")] = ()
    timezone: Annotated[Text, Parameter(help="The zone of these schedules, e.g. Europe/Berlin.")] = None
    overlap: Annotated[
        Text, Parameter(help="While a schedule's last run is not over: wait, skip, replace, wait_one.")
    ] = None

    def changes(self) -> dict[str, Any]:
        """Fields of the document. Raises InvalidInput."""
        found: dict[str, Any] = {
            "queue": self.queue,
            "description": self.description,
            "version": self.version,
            "parameters": parameters(self.param, None) or None,
            "job_variables": job_variables(self.variable, self.env, self.working_dir) or None,
            "tags": self.tag or None,
            "labels": self.label or None,
            "keys": self.key or None,
            "retry": None if self.retries is None else {"retries": self.retries},
            "timeout": None if self.timeout is None else duration(self.timeout),
            "expires": None if self.expires is None else duration(self.expires),
            "schedules": self._schedules() or None,
        }
        kept = {name: value for name, value in found.items() if value is not None}
        return kept | self._work() | self._concurrency() | self._cache()

    def _work(self) -> dict[str, Any]:
        """What it does; saying one takes back the others."""
        import shlex

        given: dict[str, Any] = {"function": self.function, "entrypoint": self.entrypoint}
        given |= {"command": None, "shell": False}
        if self.command is not None:
            given["command"] = tuple(shlex.split(self.command))
        if self.shell is not None:
            given |= {"command": self.shell, "shell": True}
        return given if any(given.values()) else {}

    def _concurrency(self) -> dict[str, Any]:
        if self.limit is None:
            if self.when_full is not None:
                raise InvalidInput("--when-full says what becomes of one more than --limit: give both")
            return {}
        if self.limit.lower() == "none":
            return {"concurrency": None}
        if not self.limit.isdecimal():
            raise InvalidInput(f"{self.limit!r} is no limit: a whole number, or `none`")
        return {"concurrency": {"limit": int(self.limit), "when_full": self.when_full or "wait"}}

    def _cache(self) -> dict[str, Any]:
        if (self.cache_key is None) != (self.cache_for is None):
            raise InvalidInput("a cache wants both --cache-key and --cache-for")
        return {} if self.cache_for is None else {"cache": {"key": self.cache_key, "ttl": duration(self.cache_for)}}

    def _schedules(self) -> list[dict[str, Any]]:
        shared = {"timezone": self.timezone, "when_full": self.overlap}
        more = {name: value for name, value in shared.items() if value is not None}
        found: list[dict[str, Any]] = [{"cron": text} for text in self.cron]
        found += [{"interval": duration(text)} for text in self.every]
        found += [{"rrule": text} for text in self.rrule]
        found += [{"at": instant(text)} for text in self.at]
        if more and not found:
            raise InvalidInput("--timezone and --overlap are for schedules: give --cron, --every, --rrule or --at too")
        return [{**each, **more} for each in found]
