"""Flame graphs: where the processor time of the river, of detection and of the gateway goes.

Each is recorded by `perf` while AUREN works under load, with the whole stack of every sample, and drawn as an SVG that needs no
script. What only passes calls on (the standard library, the runtime's loops, closures) is left out of the stacks, so that what is
left can be read. Times are shares of the samples of the process that is looked at.
"""

import collections
import re
import signal
import subprocess
from html import escape

import kit
import river
from kit import number, say, table

HERTZ = 999
# Bytes of stack that are kept of a sample.
STACK = 8192
# Frames narrower than this share of all are not drawn.
LEAST = 0.004
WIDE, HIGH = 1180, 17

STYLE = """
text { font: 11px system-ui, sans-serif; fill: #1f2328; pointer-events: none } .title { font-size: 13px; font-weight: 600 }
rect { stroke: #fff; stroke-width: .5 } .auren { fill: #8fd6bd } .other { fill: #d0d7de } .kernel { fill: #eac9a6 } .thread { fill: #b6c8f0 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } rect { stroke: #0d1117 }
.auren { fill: #0a6b4d } .other { fill: #444c56 } .kernel { fill: #7a5326 } .thread { fill: #33497f } }
"""

# What passes calls on and does nothing itself.
PASSES_ON = re.compile(
    r"^(core|std|alloc|__rust|_start|__libc|start_thread|__GI___clone3?|clone3?|main|\[unknown\]|tokio::(runtime|task|macros|loom|util)"
    r"|futures_|<?(core|alloc|std)::|entry_SYSCALL|do_syscall|__x64_sys|asm_|x64_sys|actix_rt|serde_core::(de|ser)::impls)"
)


def build(options):
    kit.need("perf", "flame")


def at_work(pid, seconds, folder):
    """The stacks of a process that works, and how often each was met."""
    return recorded(["-p", pid, "--", "sleep", seconds], folder)


def recorded(what, folder):
    data = folder / "perf.data"
    record = ["perf", "record", "-o", data, "-F", HERTZ, "--call-graph", f"dwarf,{STACK}", *what]
    # It ends badly where the process ended first; what it has recorded is good all the same.
    subprocess.run(list(map(str, record)), cwd=folder, capture_output=True)
    script = ["perf", "script", "-i", data, "--no-inline", "-F", "comm,ip,sym,dso"]
    ended = subprocess.run(list(map(str, script)), cwd=folder, capture_output=True, text=True, errors="replace")
    if ended.returncode:
        kit.fail(f"perf script failed: {ended.stderr[-2000:]}")
    stacks = folded(ended.stdout)
    if not stacks:
        kit.fail("perf has met nobody at work")
    return stacks


def folded(text):
    stacks = collections.Counter()
    for sample in text.split("\n\n"):
        thread, *frames = [line for line in sample.splitlines() if line.strip()] or [""]
        if not thread:
            continue
        # Outermost first; a name that only passes on, or repeats the one before it, says nothing new.
        stack = [("thread", thread.strip().replace("|", " "))]
        for line in reversed(frames):
            found = re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)$", line)
            name, kind = (named(*found.groups())) if found else ("", "")
            if name and not PASSES_ON.match(name) and stack[-1][1] != name:
                stack.append((kind, name))
        stacks[tuple(stack)] += 1
    return stacks


def named(symbol, place):
    """A symbol as a person says it, and whose it is."""
    name = re.sub(r"::h[0-9a-f]{16}$|\+0x[0-9a-f]+$|::\{\{closure\}\}|\{\{closure\}\}", "", symbol)
    while (shorter := re.sub(r"<impl ([^<>]*) for ([^<>]*)>", r"\2", name)) != name or (
        shorter := re.sub(r"<([^<>]*) as [^<>]*>", r"\1", name)
    ) != name or (shorter := re.sub(r"::<[^<>]*>|(?<=\w)<[^<>]*>", "", name)) != name:
        name = shorter
    name = name.replace("<", "").replace(">", "")
    if "kernel" in place or "[k" in place:
        return name, "kernel"
    return name, "auren" if "auren" in name else "other"


def drawn(name, stacks):
    """A rectangle for each frame, as wide as its share, above whoever called it."""
    total, tree = sum(stacks.values()), {}
    title = f"{name}: {number(total)} samples; a frame is as wide as its share of the processor's time"
    for stack, times in stacks.items():
        level = tree
        for frame in stack:
            node = level.setdefault(frame, [0, {}])
            node[0] += times
            level = node[1]
    frames = []

    def place(level, begin, depth):
        for (kind, name), (times, above) in sorted(level.items(), key=lambda item: -item[1][0]):
            if times >= LEAST * total:
                frames.append((begin, depth, times, kind, name))
                place(above, begin, depth + 1)
            begin += times

    place(tree, 0, 0)
    deepest = max((depth for _, depth, *_ in frames), default=0)
    height = 40 + HIGH * (deepest + 1)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE + 16} {height + 8}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="20">{escape(title)}</text>',
    ]
    for begin, depth, times, kind, name in frames:
        x, wide = 8 + WIDE * begin / total, WIDE * times / total
        y = height - HIGH * (depth + 1)
        short = name if len(name) * 6.4 < wide else name.split("::")[-1]
        letters = int(wide / 6.4)
        text = short if len(short) <= letters else short[: letters - 1] + "…" if letters > 3 else ""
        lines.append(
            f'<g><title>{escape(name)}: {100 * times / total:.1f} %</title><rect class="{kind}" x="{x:.1f}" y="{y}" '
            f'width="{wide:.1f}" height="{HIGH}"/>' + (f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(text)}</text>' if text else "") + "</g>"
        )
    return "\n".join([*lines, "</svg>\n"])


def of_river(options, folder):
    cluster = river.Cluster(folder, options.auren)
    # It must have work all the time.
    triggers = 300_000 if options.quick else 2_000_000
    cluster.prepare("f.", triggers, options.users)
    command = [str(part).replace("{prefix}", "f.") for part in river.ours(cluster, "hub", options.users)]
    process = kit.Process("hub", command, folder)
    looking = cluster.group("f.auren-converse")
    works = lambda: river.worked(looking, "f.triggers.detected", cluster.partitions) > 0
    kit.wait_for("a hub at work", works, 60, process)
    looking.close()
    stacks = at_work(process.pid, options.seconds, folder)
    process.end()
    cluster.broker.end(signal.SIGKILL)
    return stacks


def of_detection(options, folder):
    command = [options.auren, "bench", "detect", "--users", 4 * options.users, "--nights", options.nights, "--rules", 10]
    return recorded(["--", *command], folder)


def of_gateway(options, folder):
    cluster = river.Cluster(folder, options.auren)
    flags = ["--rate", 0, "--frames", 30, "--sockets", options.sockets, "--rounds", 1 if options.quick else 12]
    process = kit.Process("gateway", [options.auren, "--brokers", cluster.address, "bench", "gateway", *flags], folder)
    opened = lambda: "sockets are open" in process.tail()
    kit.wait_for("open sockets", opened, 120, process)
    # The node is a child of the bench; beside it stands the broker, which is none.
    node = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()[0]
    # It is stopped for most of the time, while frames for it are written.
    stacks = at_work(node, options.seconds * 6, folder)
    process.end()
    cluster.broker.end(signal.SIGKILL)
    return stacks


def run(options, folder):
    result = {}
    for name, work in {"river": of_river, "detection": of_detection, "gateway": of_gateway}.items():
        place = folder / name
        place.mkdir()
        stacks = work(options, place)
        result[name] = {"samples": sum(stacks.values()), "threads": shares(stacks), "drawn": drawn(name, stacks)}
        say(f"flame: {name}: {number(result[name]['samples'])} samples")
    return result


def shares(stacks):
    threads = collections.Counter()
    for stack, times in stacks.items():
        threads[stack[0][1]] += times
    total = sum(threads.values()) or 1
    return {thread: times / total for thread, times in threads.most_common() if times >= 0.01 * total}


def markdown(result):
    rows = [
        [name, number(one["samples"]), ", ".join(f"{thread} {100 * share:.0f} %" for thread, share in one["threads"].items())]
        for name, one in result.items()
    ]
    return table(["work", "samples", "threads"], rows)


def goals(result):
    return []


def charts(result):
    return {f"flame-{name}": one["drawn"] for name, one in result.items()}
