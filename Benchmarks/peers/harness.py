"""What all cases share: data, our program in turns with a peer, rows of a record.

A case is a function in a file of cases/, marked with @case; see Benchmarks/README.md. This module must be imported
before numpy or any peer: it sets how many threads they use.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
THREADS = int(os.environ.get("APUS_COMPARE_THREADS", "2"))
PAIRS = int(os.environ.get("APUS_COMPARE_PAIRS", "7"))
# Rounds in which other processes, or the machine's host, took more cores than this are repeated, so many times at most.
DISTURBED = float(os.environ.get("APUS_COMPARE_DISTURBED", "0.15"))
ATTEMPTS = 3
PEERS = Path(os.environ.get("APUS_PEERS", ROOT.parent / "shared" / "peers"))
TEST_DATA = Path(os.environ.get("APUS_TEST_DATA", ROOT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("APUS_COMPARE_CACHE", Path.home() / ".cache" / "apus-compare"))
APUS = os.environ.get("APUS_PROGRAM") or ROOT / ".build" / "release" / "apus"

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
              "POLARS_MAX_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_name] = str(THREADS)
# Both sides take OpenBLAS's own choice of kernels.
for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)
sys.path.append(str(PEERS))  # ratings.py: the peers' own splits and metrics

CASES = {}


def case(name, area, title):
    """Registers a case. `area` is the section of docs/PERFORMANCE.md, `title` its heading there; the docstring says
    what is measured and how. The function takes a Record and adds rows to it."""
    def register(function):
        if name in CASES:
            raise ValueError(f"there are two cases named {name}")
        CASES[name] = dict(name=name, area=area, title=title, text=" ".join((function.__doc__ or "").split()),
                           run=function)
        return function
    return register


def version(package):
    return f"{package} {metadata.version(package)}"


def rounded(value, digits=5):
    return float(f"{value:.{digits}g}")


class Record:
    """Rows of one case. A row is one figure: ours beside a peer's, or beside a limit."""

    def __init__(self):
        self.rows = []
        self.details = {}

    def speed(self, subject, ours, theirs, peer, unit="s", target=None, device="cpu", **more):
        """Seconds of interleaved runs of both sides: the ratio of the medians, theirs / ours, is to reach `target`."""
        a, b = statistics.median(ours), statistics.median(theirs)
        self._add(subject=subject, device=device, ours=rounded(a), peer=peer, theirs=rounded(b), unit=unit,
                  measure="times as fast", value=rounded(b / a, 4), target=target,
                  holds=None if target is None else b / a >= target, pairs=min(len(ours), len(theirs)),
                  ours_all=[rounded(x) for x in ours], theirs_all=[rounded(x) for x in theirs], **more)

    def at_most(self, subject, ours, limit, unit, device="cpu", peer=None, **more):
        """A figure of ours that is not to exceed a limit."""
        self._add(subject=subject, device=device, ours=rounded(ours), peer=peer, theirs=None, unit=unit,
                  measure="at most", value=rounded(ours), target=rounded(limit), holds=ours <= limit, **more)

    def quality(self, subject, ours, theirs, peer, tolerance=None, better="higher", unit="", device="cpu", **more):
        """A quality of both sides. `tolerance`: how much worse ours may be (0: not worse)."""
        gain = ours - theirs if better == "higher" else theirs - ours
        self._add(subject=subject, device=device, ours=rounded(ours), peer=peer, theirs=rounded(theirs), unit=unit,
                  measure="difference", value=rounded(ours - theirs, 3), target=tolerance,
                  holds=None if tolerance is None else gain >= -tolerance, **more)

    def _add(self, **row):
        self.rows.append(row)
        state = {True: "holds", False: "FALLS SHORT", None: ""}[row["holds"]]
        theirs = "" if row["theirs"] is None else f", {row['peer']} {row['theirs']} {row['unit']}"
        target = "" if row["target"] is None else f" (target {row['target']})"
        say(f"  {row['subject']} [{row['device']}]: {row['ours']} {row['unit']}{theirs}: "
            f"{row['measure']} {row['value']}{target} {state}")


def say(text):
    print(text, file=sys.stderr, flush=True)


def data(name, make):
    """A folder of the cache; made once by `make(folder)`, which may take a while."""
    folder = CACHE / name
    if not folder.exists():
        say(f"  making {folder} ...")
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        make(part)
        part.rename(folder)
    return folder


def peer_dump(script, *arguments):
    """The data that a script of the peers gives to its libraries, written by its --dump."""
    name = script + "".join(str(a).replace("--", "-") for a in arguments)
    return data(name, lambda folder: subprocess.run(
        [sys.executable, PEERS / f"{script}.py", *map(str, arguments), "--dump", folder], check=True))


def apus(*arguments, check=True):
    """Runs our program; answers its JSON object if it has --json, else its standard output."""
    done = subprocess.run([APUS, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if check and done.returncode:
        raise RuntimeError(f"apus {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def devices():
    """Names of our devices here: cpu, and OpenCL's if there is one that works."""
    return [d["name"] for d in apus("devices", "--json")["devices"] if d["usable"]]


class Paced:
    """`apus bench ... --paced`: our program waits before each run, so that a peer takes turns with it."""

    def __init__(self, *arguments, devices=("cpu",), runs=1000):
        self.devices = list(devices)
        flags = [x for d in self.devices for x in ("--device", d)]
        # As many runs as in_turns() may ask for, whatever the caller expects to need.
        self._process = subprocess.Popen(
            [str(APUS), "bench", *map(str, arguments), *flags, "--runs", str(min(runs * ATTEMPTS, 1000)), "--threads",
             str(THREADS), "--paced", "--json", "--quiet"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.command = "apus " + " ".join(map(str, self._process.args[1:]))
        self._rounds = []
        self._kept = None
        self._result = None
        self._line = self._process.stdout.readline()
        self._check()

    def _check(self):
        if not self._line:
            raise RuntimeError(f"{self.command}: exit {self._process.wait()}")

    def round(self):
        """One run on each device; answers their seconds by name."""
        seconds = {}
        for place, device in enumerate(self.devices):
            if self._line.split() != ["ready", str(place)]:
                raise RuntimeError(f"{self.command}: unexpected line {self._line}")
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().split()
            if answer[:2] != ["seconds", str(place)]:
                raise RuntimeError(f"{self.command}: unexpected answer {answer}")
            seconds[device] = float(answer[2])
            self._line = self._process.stdout.readline()
            self._check()
        self._rounds.append(seconds)
        return seconds

    def keep(self, last, places):
        """Of the `last` rounds only these count."""
        first = len(self._rounds) - last
        self._kept = [self._rounds[first + place] for place in places]

    @property
    def seconds(self):
        """The times of the rounds that count, by device."""
        rounds = self._rounds if self._kept is None else self._kept
        return {device: [seconds[device] for seconds in rounds] for device in self.devices}

    @property
    def result(self):
        """What `apus bench` says in the end, of all rounds; ends the runs."""
        if self._result is None:
            self._process.stdin.close()
            rest = "" if self._line.startswith("ready") else self._line
            self._result = json.loads(rest + self._process.stdout.read())
            if self._process.wait():
                raise RuntimeError(f"{self.command}: exit {self._process.returncode}")
        return self._result


def seconds_of_others():
    """Seconds of all cores that the machine has spent on anything but this group of processes; the time that the host
    of a virtual machine took away counts."""
    with open("/proc/stat") as file:
        total = [int(x) for x in file.readline().split()[1:9]]
    mine, group = 0, str(os.getpgrp())
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/stat") as file:
                words = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has ended
        if words[2] == group:
            mine += sum(map(int, words[11:15]))
    return (sum(total) - total[3] - total[4] - mine) / os.sysconf("SC_CLK_TCK")


def in_turns(*bodies, pairs=PAIRS, pause=0.2, record=None):
    """Calls all bodies in turns, once each a round; answers a list of each one's results. A round that others disturbed
    is repeated, within limits; without enough quiet ones, the quietest count. The pause lets threads that still spin
    from the last call fall asleep."""
    rounds = []
    quiet = 0
    while quiet < pairs and len(rounds) < pairs * ATTEMPTS:
        results = []
        others, wall = 0.0, 0.0
        for body in bodies:
            time.sleep(pause)
            before, start = seconds_of_others(), time.perf_counter()
            results.append(body())
            wall += time.perf_counter() - start
            others += max(0.0, seconds_of_others() - before)
        rounds.append((others / wall, len(rounds), results))
        quiet += others / wall <= DISTURBED
    kept = sorted(sorted(rounds)[:pairs], key=lambda r: r[1])
    say(f"  {len(rounds)} rounds, in those that count others took up to {max(r[0] for r in kept):.2f} cores")
    for body in bodies:
        if isinstance(owner := getattr(body, "__self__", None), Paced):
            owner.keep(len(rounds), [r[1] for r in kept])
    if record is not None:
        record.details.setdefault("rounds", []).append(
            dict(taken=len(rounds), cores_of_others=[round(r[0], 2) for r in kept]))
    return [list(results) for results in zip(*(r[2] for r in kept))]


def timed(function):
    def call():
        start = time.perf_counter()
        function()
        return time.perf_counter() - start
    return call


def run_measured(arguments, interval=0.002):
    """Runs a program; answers its wall seconds and the peak of its anonymous resident memory in bytes, as the system
    counts it (RssAnon), by looking every few milliseconds."""
    start = time.perf_counter()
    process = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    done = threading.Event()

    def look():
        nonlocal peak
        while not done.is_set():
            try:
                with open(f"/proc/{process.pid}/status") as status:
                    for line in status:
                        if line.startswith("RssAnon"):
                            peak = max(peak, int(line.split()[1]) * 1024)
            except (OSError, ProcessLookupError):
                return
            time.sleep(interval)
    watcher = threading.Thread(target=look)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if code:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: exit {code}")
    return seconds, peak
