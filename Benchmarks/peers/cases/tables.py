"""Reading, memory and start-up."""
import statistics

from harness import APUS, CACHE, THREADS, Paced, case, data, in_turns, peer_dump, run_measured, timed, version
from harness import apus as run_apus

ROWS = 20_000_000


def ratings():
    return peer_dump("csv_load", "--rows", ROWS) / "ratings.csv"


@case("read", "Reading", "20 million rows of user, item, rating, time")
def read(record):
    """A file in the system's cache. Our parsing includes each thread's own numbering of the identifiers; the whole also
    has one numbering for all and both sparse orders. The peer reads four typed columns and nothing else."""
    import polars
    path = ratings()
    size = path.stat().st_size

    def peer():
        table = polars.read_csv(path)
        if len(table) != ROWS:
            raise RuntimeError("polars read another number of rows")
    peer()
    paced = Paced("read", "--interactions", path)
    theirs = in_turns(timed(peer), paced.round, record=record)[0]
    samples = {x["settings"]["phase"]: x["samples"] for x in paced.result["cases"]}
    whole = paced.seconds["cpu"]
    # The phases of the rounds that count, which the seconds of the whole tell.
    counted = [samples["all"].index(x) for x in whole]
    phases = {name: [times[run] for run in counted] for name, times in samples.items()}
    record.speed("parsing alone", phases["parse"], theirs, version("polars"), target=2.5)
    record.speed("parsing, identifiers and both orders", whole, theirs, version("polars"), target=1.0)
    record.details.update(bytes=size, rows=ROWS, phases={p: statistics.median(x) for p, x in phases.items()})


@case("memory", "Memory", "Training on 20 million rows")
def memory(record):
    """Peak of the anonymous resident memory of `apus train als` above that of `apus devices`, as the system counts it;
    the limit is 1.5 times both sparse copies and both factor tables (d = 64)."""
    path = ratings()
    model = CACHE / "memory.apus"
    base = run_measured([APUS, "devices"])[1]
    command = [APUS, "train", "als", "--interactions", path, "--factors", 64, "--iterations", 2, "--device", "cpu",
               "--threads", THREADS, "--split", "none", "--output", model, "--quiet"]
    peak = run_measured(command)[1]
    facts = run_apus("inspect", "--model", model, "--json")
    model.unlink()
    users, items, entries = (facts[x] for x in ("users", "items", "interactions"))
    sparse = 2 * 8 * entries + 8 * (users + items + 2)
    tables = 4 * 64 * (users + items)
    record.at_most(f"{entries} interactions, {users} users, {items} items", (peak - base) / 1e6,
                   1.5 * (sparse + tables) / 1e6, "MB", ratio=(peak - base) / (sparse + tables),
                   devices_megabytes=base / 1e6)


@case("startup", "Start-up", "Time until the program has answered")
def startup(record):
    """Wall time of the whole process, OpenCL programs cached."""
    for arguments, limit in ((["--help"], 0.05), (["devices"], 0.3)):
        run_measured([APUS, *arguments])
        seconds = in_turns(lambda: run_measured([APUS, *arguments])[0], pairs=15, pause=0.02)[0]
        record.at_most("apus " + " ".join(arguments), statistics.median(seconds), limit, "s",
                       seconds_all=[round(s, 4) for s in seconds])
