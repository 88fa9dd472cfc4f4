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


MIXED_ROWS = 9_500_000


def make_mixed(folder):
    """Orders of a shop: whole numbers, decimals, names, levels (some Chinese), dates, times, Booleans, quoted texts, and
    gaps; about 1 GB."""
    import numpy as np
    import polars as pl
    rng = np.random.default_rng(7)
    cities = np.array(["Berlin", "Hamburg", "Wien", "Zürich", "北京", "上海", "Paris", "Lyon", "Oslo", "Madrid"]
                      + [f"City {i}" for i in range(40)])
    notes = np.array(["fast delivery", "too expensive", "great quality", "broke after two days", "never again",
                      "friendly support, thanks", "will buy again", 'the box was "crushed"'])
    step = 1_000_000
    with open(folder / "mixed.csv", "wb") as file:
        for start in range(0, MIXED_ROWS, step):
            n = min(step, MIXED_ROWS - start)
            ages = pl.DataFrame({"age": rng.integers(18, 90, n), "known": rng.random(n) > 0.08})
            pl.DataFrame({
                "order_id": np.arange(start, start + n),
                "customer": pl.Series(rng.integers(0, 500_000, n)).cast(pl.Utf8).str.zfill(7).str.replace("^", "C"),
                "age": ages.select(pl.when("known").then("age")).to_series(),
                "income": np.round(rng.lognormal(10.3, 0.5, n), 2), "score": np.round(rng.normal(0, 1, n), 6),
                "quantity": rng.integers(1, 10, n), "city": cities[rng.integers(0, 50, n)],
                "segment": np.array(["A", "B", "C", "D", "lapsed"])[rng.integers(0, 5, n)],
                "joined": pl.Series(rng.integers(17000, 20000, n)).cast(pl.Int32).cast(pl.Date),
                "seen": pl.Series(rng.integers(1_600_000_000, 1_700_000_000, n) * 1_000_000).cast(
                    pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S"),
                "active": rng.random(n) < 0.5, "note": notes[rng.integers(0, 8, n)],
            }).write_csv(file, include_header=start == 0)


@case("read-mixed", "Reading", "A CSV of mixed types, 1 GB, into typed columns")
def read_mixed(record):
    """A file in the system's cache, types inferred by both sides. Ours are numbers, dates (parsed to seconds), levels
    (numbered) and identifiers; the peer leaves dates and levels as strings by default. The second row lets it parse the
    dates, as we do."""
    import polars
    path = data("mixed", make_mixed) / "mixed.csv"

    def peer(**options):
        def read():
            if len(polars.read_csv(path, **options)) != MIXED_ROWS:
                raise RuntimeError("polars read another number of rows")
        return read
    plain, dated = peer(), peer(try_parse_dates=True)
    plain()
    ours = Paced("read", "--data", path)
    theirs, parsed = in_turns(timed(plain), timed(dated), ours.round)[:2]
    record.speed("polars as it comes", ours.seconds["cpu"], theirs, version("polars"), target=1.0)
    record.speed("polars with dates parsed", ours.seconds["cpu"], parsed, version("polars"))
    record.details.update(bytes=path.stat().st_size, rows=MIXED_ROWS)


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
