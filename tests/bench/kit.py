"""What the three parts share: peers are built, processes are sampled, figures are summed up."""

import atexit
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = Path(os.environ.get("AUREN_TEST_CACHE", ROOT / "tests/services/.cache")) / "bench"
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def fail(text):
    say(text)
    raise SystemExit(1)


def need(tool, what):
    if not shutil.which(tool):
        fail(f"{what} needs {tool}, which this machine lacks")


def called(command, folder):
    """Runs a build step; what it printed is shown only where it failed."""
    ended = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ended.returncode:
        print(ended.stdout[-4000:], file=sys.stderr)
        fail(f"{' '.join(map(str, command))} failed in {folder}")


def copied(name):
    """A peer's folder in the cache, so that nothing is built among the sources; and whether it has changed."""
    source, target = HERE / name, CACHE / name
    files = [file for file in sorted(source.rglob("*")) if file.is_file()]
    text = "".join(f"{file.relative_to(source)}\n{file.read_text()}" for file in files)
    stamp = target / ".built"
    if stamp.exists() and stamp.read_text() == text:
        return target, None
    for file in files:
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    stamp.unlink(missing_ok=True)
    return target, lambda: stamp.write_text(text)


def built(name, tool, *steps):
    """A peer, built where its sources have changed since."""
    need(tool, name)
    folder, done = copied(name)
    if done:
        say(f"building {name}")
        for step in steps:
            called(step, folder)
        done()
    return folder


def maven(name):
    need("javac", name)
    quiet = ["mvn", "-q", "-B"]
    folder = built(name, "mvn", [*quiet, "compile", "dependency:copy-dependencies", "-DoutputDirectory=lib"])
    return f"{folder}/target/classes:{folder}/lib/*"


def go(name):
    return built(name, "go", ["go", "build", "-mod=readonly", "-o", "peer", "."]) / "peer"


def npm(name):
    need("node", name)
    return built(name, "npm", ["npm", "ci", "--silent", "--no-audit", "--no-fund"])


def free_port():
    """Below those that the kernel gives to clients, so that none of them takes it in the meantime."""
    for port in random.sample(range(21_000, 32_000), 100):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    fail("no free port between 21000 and 32000")


def wait_for(what, happened, seconds, process=None):
    """Waits until it has happened, and says what was awaited where it does not."""
    limit = time.monotonic() + seconds
    while True:
        value = happened()
        if value:
            return value
        if process is not None and process.poll() is not None:
            fail(f"{process.name} ended while waiting for {what}; the end of its log:\n{process.tail()}")
        if time.monotonic() > limit:
            tail = f"; the end of its log:\n{process.tail()}" if process is not None else ""
            fail(f"no {what} after {seconds} s{tail}")
        time.sleep(0.05)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def with_parent():
    """A child hears no Ctrl-C, and the kernel ends it when its parent has died, however that was (PR_SET_PDEATHSIG)."""
    os.setpgrp()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Process:
    """A process that ends with this one; its processor time is noted every 20 ms."""

    running = []

    def __init__(self, name, command, folder, environment=None):
        self.name, self.log = name, Path(folder) / f"{name.replace(' ', '-').replace('/', '-')}.log"
        with open(self.log, "w") as log:
            self.child = subprocess.Popen(
                list(map(str, command)), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})}, preexec_fn=with_parent,
            )
        self.pid, self.samples = self.child.pid, []
        Process.running.append(self)
        threading.Thread(target=self._sample, daemon=True).start()

    def poll(self):
        return self.child.poll()

    def tail(self):
        return self.log.read_text(errors="replace")[-2000:]

    def _sample(self):
        while self.child.returncode is None:
            try:
                with open(f"/proc/{self.pid}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except (OSError, IndexError):
                return
            self.samples.append((time.time(), (int(fields[11]) + int(fields[12])) / TICK))
            time.sleep(0.02)

    def cpu(self, begin, end):
        """Seconds of processor time between two moments."""
        return self._at(end) - self._at(begin)

    def _at(self, moment):
        before = None
        for sample in list(self.samples):
            if sample[0] >= moment:
                if before is None:
                    return sample[1]
                share = (moment - before[0]) / (sample[0] - before[0])
                return before[1] + share * (sample[1] - before[1])
            before = sample
        return before[1] if before else 0.0

    def rss(self):
        """Bytes in memory now."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * PAGE

    def end(self, signal_=signal.SIGTERM, patience=10):
        if self.poll() is None:
            self.child.send_signal(signal_)
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if self in Process.running:
            Process.running.remove(self)


@atexit.register
def end_all():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for process in list(Process.running):
        process.end(signal.SIGKILL)


# Whoever ends this run ends its processes and removes its folders.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def scratch():
    folder = Path(tempfile.mkdtemp(prefix="auren-bench."))
    atexit.register(shutil.rmtree, folder, True)
    atexit.register(end_all)
    return folder


def spread(values):
    """Minimum, median and maximum."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return {"min": ordered[0], "median": median, "max": ordered[-1]}


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * share // 1) - 1))]


def number(value, digits=0):
    return f"{value:,.{digits}f}"


def cell(figure, digits=0):
    """Median, and the least and the most of the rounds."""
    least, middle, most = (number(figure[key], digits) for key in ("min", "median", "max"))
    return f"**{middle}** ({least}–{most})"


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
