"""The command line behind scripts/compare-peers."""
import argparse
import importlib
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import harness


def load_cases():
    folder = Path(__file__).parent / "cases"
    for file in sorted(folder.glob("*.py")):
        importlib.import_module(f"cases.{file.stem}")


def text_of(*command):
    done = subprocess.run(command, capture_output=True, text=True, cwd=harness.ROOT)
    return done.stdout.strip() if done.returncode == 0 else None


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def run(name, folder, label):
    case = harness.CASES[name]
    harness.say(f"{name}: {case['title']}")
    record = harness.Record()
    start = time.time()
    case["run"](record)
    changed = text_of("git", "status", "--porcelain", "--", "Sources", "kernels", "Package.swift")
    result = dict(
        case=name, area=case["area"], title=case["title"], text=case["text"],
        command=f"scripts/compare-peers {name}", date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        commit=text_of("git", "rev-parse", "--short=12", "HEAD") + ("+" if changed else ""),
        host=label or platform.node(), processor=processor(), threads=harness.THREADS,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        seconds=round(time.time() - start, 1), details=record.details, rows=record.rows)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    harness.say(f"  {path} ({result['seconds']} s)")


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/compare-peers", description="Times Apus and its peers in turns, and records both.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names of cases, or the beginning of several; see --list")
    parser.add_argument("--list", action="store_true", help="show the cases")
    parser.add_argument("--results", type=Path, default=harness.ROOT / "Benchmarks" / "results",
                        help="folder for the records (default: Benchmarks/results)")
    parser.add_argument("--label", help="name of this machine in the records (default: its host name)")
    arguments = parser.parse_args()
    load_cases()
    if arguments.list or not arguments.cases:
        for case in harness.CASES.values():
            print(f"{case['name']:<24} {case['area']}: {case['title']}")
        return
    # A name stands for itself, although it may begin those of other cases.
    names = [n for n in harness.CASES
             if any(n == c or c not in harness.CASES and n.startswith(c + "-") for c in arguments.cases)]
    for wanted in arguments.cases:
        if not any(n == wanted or n.startswith(wanted + "-") for n in names):
            parser.error(f"there is no case {wanted}; see --list")
    if len(names) == 1:
        return run(names[0], arguments.results, arguments.label)
    # Each in a process of its own, so that no library inherits another's threads or memory.
    for name in names:
        more = ["--label", arguments.label] if arguments.label else []
        subprocess.run([sys.executable, __file__, name, "--results", arguments.results, *more], check=True)


if __name__ == "__main__":
    main()
