"""Detection: three nights in a row above a threshold, per user, in AUREN's rules and in Esper's language.

Both judge the stream of `auren bench detect`: everybody has a night each day, people take turns, every rule has a threshold of
its own. Nothing is parsed and nothing is sent; each process is held on one core, so that a garbage collector's or compiler's
time counts. They must find exactly as much.
"""

import json
import os
import subprocess

import kit
from chart import bars
from kit import cell, number, say, spread, table

RULES = (1, 10, 100)


def build(options):
    options.esper = kit.maven("esper")
    kit.need("taskset", "detection")


def pinned(command, folder):
    core = max(os.sched_getaffinity(0))
    command = ["taskset", "-c", core, *command]
    ended = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=600)
    if ended.returncode:
        kit.fail(f"{command[3]} failed: {ended.stderr[-2000:]}")
    return ended.stdout


def auren(options, rules, users, folder):
    text = pinned([options.auren, "bench", "detect", "--users", users, "--nights", options.nights, "--rules", rules], folder)
    row = dict(zip(*(line.split() for line in text.splitlines()[:2])))
    return {"rate": float(row["events/s"]), "triggers": int(row["triggers"]), "bytes": int(row["bytes/user"])}


def esper(kind):
    def run(options, rules, users, folder):
        java = ["java", "-Xmx6g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", options.esper, "Detection"]
        found = json.loads(pinned([*java, users, options.nights, rules, kind], folder))
        return {key: found[key] for key in ("rate", "triggers", "bytes")}

    return run


CONTESTANTS = {"AUREN": auren, "Esper, pattern": esper("pattern"), "Esper, shared by hand": esper("shared")}


def run(options, folder):
    rounds = {(name, rules): [] for rules in RULES for name in CONTESTANTS}
    people = {rules: options.users if rules < 100 else max(1, options.users // 20) for rules in RULES}
    for turn in range(options.rounds):
        for rules in RULES:
            found = set()
            for place in range(len(CONTESTANTS)):
                name = list(CONTESTANTS)[(place + turn) % len(CONTESTANTS)]
                figures = CONTESTANTS[name](options, rules, people[rules], folder)
                rounds[name, rules].append(figures)
                found.add(figures["triggers"])
                say(f"detection, round {turn + 1}: {name}, {rules} rule(s): {number(figures['rate'])} events/s")
            if len(found) > 1:
                kit.fail(f"with {rules} rules they do not find the same: {sorted(found)}")
    rows = [
        {"name": name, "rules": rules, "users": people[rules], "triggers": all_[0]["triggers"],
         **{key: spread([one[key] for one in all_]) for key in ("rate", "bytes")}}
        for (name, rules), all_ in rounds.items()
    ]
    beside = {
        name: {rules: spread([ours["rate"] / theirs["rate"] for ours, theirs in zip(rounds["AUREN", rules], rounds[name, rules])])
               for rules in RULES}
        for name in CONTESTANTS if name != "AUREN"
    }
    return {"rows": rows, "beside": beside, "nights": options.nights}


def markdown(result):
    head = ["engine", "rules", "users", "events/s on one core", "triggers found", "bytes a user (AUREN: saved; Esper: heap)"]
    rows = [
        [row["name"], str(row["rules"]), number(row["users"]), cell(row["rate"]), number(row["triggers"]), cell(row["bytes"])]
        for row in result["rows"]
    ]
    return table(head, rows)


def goals(result):
    rows = []
    for name, by_rules in result["beside"].items():
        for rules, ratio in by_rules.items():
            what = f"detection beside {name}, {rules} {'rule' if rules == 1 else 'rules'}, events/s per core"
            rows.append((what, "> 1", number(ratio["median"], 2), ratio["median"] > 1))
    return rows


def charts(result):
    return {
        f"detection-{rules}": bars(
            f"Events judged a second on one core, {rules} {'rule' if rules == 1 else 'rules'}",
            {row["name"]: row["rate"] for row in result["rows"] if row["rules"] == rules}, 0,
        )
        for rules in RULES
    }
