"""Faults put into the composed Lua, one at a time. A test shows that the model catches each of them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from dispatcher.scripts import Script, load, names


@dataclass(frozen=True)
class Mutant:
    """`old` becomes `new` in every script that holds it."""

    name: str
    old: str
    new: str

    def scripts(self) -> Callable[[str], Script]:
        """Compose scripts with the fault in them; fails when the text it changes is no longer there."""

        @cache
        def mutated(name: str) -> Script:
            script = load(name)
            text = script.text.replace(self.old, self.new)
            return replace(script, text=text, sha=hashlib.sha1(text.encode()).hexdigest())

        assert any(self.old in load(name).text for name in names()), f"{self.name}: its text is gone from the scripts"
        return mutated


RELEASE = "release_from(scope, id) end"
NO_SLOT = "if not string.find(scope, ':slots:{}:', 1, true) then release_from(scope, id) end end"
FINISHED = "release(id, parse_bucket(record.bucket), worker.held, facts)"

MUTANTS = [
    Mutant("pool limit off by one", "settings.limit - count(", "settings.limit + 1 - count("),
    Mutant(
        "queue limit ignored", "return queue.limit - count(root .. ':slots:queue:' .. queue.name)", "return math.huge"
    ),
    Mutant(
        "key limit off by one",
        "return limit - count(root .. ':slots:key:' .. key)",
        "return limit + 1 - count(root .. ':slots:key:' .. key)",
    ),
    Mutant("token not compared", " or facts.token ~= token then\n", " then\n"),
    Mutant("worker not compared", "not facts or facts.worker ~= worker.name or", "not facts or"),
    Mutant("queue slot not released", RELEASE, NO_SLOT.format("queue")),
    Mutant("key slot not released", RELEASE, NO_SLOT.format("key")),
    Mutant(
        "only the first class woken",
        "for _, class in ipairs(classes) do wake_waiter(key, class) end",
        "if classes[1] then wake_waiter(key, classes[1]) end",
    ),
    Mutant("no rule H", "wake_waiter(key, bucket.class)", ""),
    Mutant("no rule W", "if before[key] <= 0 and key_room(key) > 0 then open_keys[#open_keys + 1] = key end", ""),
    Mutant("priority ignored", "local score = (queue.priority + after) * PRIORITY_STEP +", "local score ="),
    Mutant("seen ignored", "worker.held, '(' .. seen, '+inf'", "worker.held, '(0', '+inf'"),
    Mutant("a lost reply not repeated", "if seen < worker.number then", "if next(given) then"),
    Mutant("floor not moved after a gap", "then floor = now + lease end", "then floor = floor end"),
    Mutant("lease clamp missing", "now + lease + 1, '+inf'", "'+inf', '+inf'"),
    Mutant("crash not charged", "crashes, token = one_more(crashes), one_more(token)", "token = one_more(token)"),
    Mutant("idempotency ignored", "if known then return 'same ' .. known end", ""),
    Mutant("an id published twice", "if call('EXISTS', root .. ':r:' .. id) == 1 then return 'exists' end", ""),
    Mutant(
        "front served after the stream",
        "local ids = call('ZRANGE', bucket.front, 0, n - 1)",
        "local ids = call('XLEN', bucket.stream) == 0 and call('ZRANGE', bucket.front, 0, n - 1) or {}",
    ),
    Mutant("pause of a queue ignored", "if queue.paused then return 0 end", ""),
    Mutant("pause of the pool ignored", "if settings.paused then return 0 end", ""),
    Mutant("labels ignored", "if not list_has(labels, label) then return false end", ""),
    Mutant("only-labelled ignored", "if only ~= '' and (required", "if false and (required"),
    Mutant("pushed worker stays listed", "call('PEXPIRE', inbox, worker.lease * 4)\n    delist(worker)", ""),
    Mutant("silent worker is given runs", " or 0) > now\n", " or 0) > 0\n"),
    Mutant("retry keeps its slot", FINISHED, f"if outcome ~= 'retry' then {FINISHED} end"),
    Mutant("token does not grow", "math.max(now, tonumber(row[3]) + 1)", "now"),
    Mutant("deadline ignored", "if deadline and deadline <= now then return true end", ""),
    Mutant("order outlives its run", "call('HDEL', root .. ':orders:' .. worker.name, record.id)", ""),
    Mutant(
        "suspended runs keep their slots",
        "release_scopes(id, bucket)\nmark_suspended(worker, id, bucket)",
        "mark_suspended(worker, id, bucket)",
    ),
    Mutant("suspended runs fill their worker", "if worker.suspended then room", "if false then room"),
    Mutant(
        "resuming overlooks keys",
        "if key_room(key) <= 0 then return false end\n  end\n  return is_live",
        "end\n  return is_live",
    ),
    Mutant("resuming overlooks its worker", "return is_live(worker) and worker_room(worker) > 0", "return true"),
    Mutant("resumed runs take no slot", "do hold(scope, {now_text, id}) end", "do end"),
    Mutant("resuming out of line", "call('ZRANGE', root .. ':resuming', 0", "call('ZREVRANGE', root .. ':resuming', 0"),
    Mutant("an end leaves its suspension", "if facts.suspended then\n", "if false then\n"),
    Mutant(
        "suspended without a claim",
        "facts.token ~= token then return 'stale' end\nif facts.state ~= 'running'",
        "false then return 'stale' end\nif facts.state ~= 'running'",
    ),
    Mutant("one too many present", "':present:' .. key) >= most then", "':present:' .. key) > most then"),
    Mutant(
        "skipped only where it is published",
        "'skipped', '' end\nend\n\nlocal function promote",
        "'skipped', '' end\nend\nforegone = function() end\n\nlocal function promote",
    ),
    Mutant("wait_one is skip", "(policy == 'wait_one' and 1 or 0)", "0"),
    Mutant(
        "the newest one is replaced",
        "call('ZRANGE', present, 0, surplus - 1)",
        "call('ZREVRANGE', present, 0, surplus - 1)",
    ),
    Mutant("what is over stays present", "do call('ZREM', root .. ':present:' .. key, record.id) end", "do end"),
    Mutant("what a policy finds is not present", "if not kind and not string.find", "if kind and not string.find"),
    Mutant("a failed run's result is reused", "if key and state == 'completed' then", "if key then"),
    Mutant("cache ignored as a run is promoted", "local result = key and cached_result(key)", "local result = nil"),
    Mutant("prepared before what is due", "and 10000 or 0", "and 0 or 0"),
    Mutant("prepared too early", "math.max(now, at - read_pool().ahead)", "now"),
    Mutant("prepared for who takes labelled ones only", "(required == '' or required == '~ahead')", "required == ''"),
    Mutant(
        "prepared ones are never due",
        "write_bucket(record, due_name(record.bucket))",
        "write_bucket(record, record.bucket)",
    ),
    Mutant("ahead outlives its worker", "worker.name) == 1 then write_ahead() end", "worker.name) == 1 then end"),
    Mutant("prepared whether its key is full or not", "if policies[key] then return false end", ""),
    Mutant(
        "orphans give their slots back",
        "release_from(worker.held, id)\n",
        "release_scopes(id, parse_bucket(read_record(id).bucket)) release_from(worker.held, id)\n",
    ),
    Mutant(
        "what waits without slots is left to be adopted",
        "facts.infrastructure ~= '' and not facts.suspended",
        "facts.infrastructure ~= ''",
    ),
    Mutant(
        "adopted at another site",
        "call('ZRANGE', root .. ':orphans:' .. site, 0",
        "call('ZRANGE', root .. ':orphans', 0",
    ),
    Mutant("adopted beyond the capacity", "math.min(room, 64) - 1", "63"),
    Mutant(
        "an adopted run is not asked to end",
        "if facts.state == 'cancelling' then order_cancel(worker",
        "if false then order_cancel(worker",
    ),
    Mutant("orphans wait for nobody", "if call('EXISTS', root .. ':site:' .. site) == 1 then", "if true then"),
    Mutant(
        "orphans are given up while somebody is there",
        "if call('EXISTS', root .. ':site:' .. site) == 1 then",
        "if false then",
    ),
    Mutant("orphans are given up after a gap", "if floor <= now and read_pool().orphans", "if read_pool().orphans"),
    Mutant("adopted runs lose their infrastructure", "if facts.infrastructure ~= '' then words", "if false then words"),
    Mutant(
        "an orphan's end is taken for done",
        "if facts and facts.state ~= 'queued' and facts.state ~= 'scheduled' then return 'stale' end",
        "",
    ),
    Mutant(
        "a site outlives its workers",
        "if site then call('SREM', root .. ':site:'",
        "if false then call('SREM', root .. ':site:'",
    ),
    Mutant("an end is not counted", "tally[state] = (tally[state] or 0) + 1", ""),
    Mutant(
        "a resent run is counted",
        ":r:' .. id) == 1 then return 'exists' end",
        ":r:' .. id) == 1 then add(tally_of(tallies, string.match(name, '[^|]*')), 'published', 1) return 'exists' end",
    ),
    Mutant("counted once a call", "hash, word, by == 1 and '1' or by)", "hash, word, '1')"),
    Mutant("counts outlive their queue", "':queue:' .. name, root .. ':counts:' .. name)", "':queue:' .. name)"),
    Mutant(
        "a turn confirms nothing",
        "renew(worker)\nconfirm(worker)\n\nlocal refusals",
        "renew(worker)\n\nlocal refusals",
    ),
    Mutant("any heartbeat confirms", "if seen >= worker.number then confirm", "if true then confirm"),
    Mutant(
        "what was there before the push is taken back",
        "worker.held, worker.pushed, '+inf'",
        "worker.held, '-inf', '+inf'",
    ),
    Mutant(
        "pushes are taken back after a gap",
        "if floor <= now and call('EXISTS', root .. ':pushed') == 1 then",
        "if call('EXISTS', root .. ':pushed') == 1 then",
    ),
    Mutant("pushes outlive their worker", "call('ZREM', root .. ':pushed', worker.name)\n  call('SREM'", "call('SREM'"),
    Mutant("verdict forgotten", "if verdict then outcome", "if false then outcome"),
]  # fmt: skip
