"""Dense products against OpenBLAS."""
import ctypes
import time

from harness import THREADS, Paced, case, devices, in_turns


def openblas():
    """The system's OpenBLAS, the very library that Apus links, called directly with as many threads."""
    library = ctypes.CDLL("libopenblas.so.0")
    library.openblas_get_config.restype = ctypes.c_char_p
    library.openblas_get_corename.restype = ctypes.c_char_p
    library.openblas_set_num_threads(THREADS)
    words = library.openblas_get_config().decode().split()
    return library, f"{words[0]} {words[1]} ({library.openblas_get_corename().decode()})"


def square(record, n):
    import numpy as np
    library, name = openblas()
    random = np.random.default_rng(1)
    a, b = (random.standard_normal((n, n), np.float32) for _ in range(2))
    c = np.empty((n, n), np.float32)
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, c)]
    one, zero = ctypes.c_float(1), ctypes.c_float(0)
    repetitions = 1

    def peer():
        nonlocal repetitions
        while True:
            start = time.perf_counter()
            for _ in range(repetitions):
                library.cblas_sgemm(101, 111, 111, n, n, n, one, pointers[0], n, pointers[1], n, zero, pointers[2], n)
            seconds = time.perf_counter() - start
            if seconds >= 0.02:
                return seconds / repetitions
            repetitions *= 2
    peer()
    paced = Paced("gemm", "--sizes", n, devices=devices())
    theirs = in_turns(peer, paced.round, record=record)[0]
    seconds = paced.seconds
    record.speed(f"{n} × {n} × {n}", seconds["cpu"], theirs, name, target=0.97)
    for device in paced.devices[1:]:
        record.speed(f"{n} × {n} × {n}", seconds[device], seconds["cpu"], "our CPU device", target=0.90, device=device)
    work = 2e-9 * n ** 3
    record.details["gflops"] = {d: round(work / min(s), 1) for d, s in {**seconds, "peer": theirs}.items()}
    record.details["max_deviation"] = {x["device"]: x["max_deviation"] for x in paced.result["cases"]}


@case("gemm-1024", "Dense products", "C = A · B in float32, 1024 × 1024 × 1024")
def gemm_1024(record):
    """Seconds of one product. The peer is cblas_sgemm of the same OpenBLAS with its own threads; small products are
    repeated for at least 20 ms a run on both sides. OpenCL stands beside our CPU device, which must hold its own."""
    square(record, 1024)


@case("gemm-2048", "Dense products", "C = A · B in float32, 2048 × 2048 × 2048")
def gemm_2048(record):
    """As for 1024."""
    square(record, 2048)


@case("gemm-4096", "Dense products", "C = A · B in float32, 4096 × 4096 × 4096")
def gemm_4096(record):
    """As for 1024."""
    square(record, 4096)
