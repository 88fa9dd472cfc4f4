"""Dense products against OpenBLAS."""
import ctypes
import time

from harness import PAIRS, THREADS, Paced, case, devices, in_turns


def openblas():
    """The system's OpenBLAS, the very library that Apus links, called directly with as many threads."""
    library = ctypes.CDLL("libopenblas.so.0")
    library.openblas_get_config.restype = ctypes.c_char_p
    library.openblas_get_corename.restype = ctypes.c_char_p
    library.openblas_set_num_threads(THREADS)
    words = library.openblas_get_config().decode().split()
    return library, f"{words[0]} {words[1]} ({library.openblas_get_corename().decode()})"


@case("gemm", "Dense products", "C = A · B in float32, square")
def gemm(record):
    """Seconds of one product. The peer is cblas_sgemm of the same OpenBLAS with its own threads; small products are
    repeated for at least 20 ms a run on both sides. OpenCL stands beside our CPU device, which must hold its own."""
    import numpy as np
    library, name = openblas()
    random = np.random.default_rng(1)
    for n in (1024, 2048, 4096):
        a, b = (random.standard_normal((n, n), np.float32) for _ in range(2))
        c = np.empty((n, n), np.float32)
        pointers = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, c)]
        one, zero = ctypes.c_float(1), ctypes.c_float(0)

        def product():
            library.cblas_sgemm(101, 111, 111, n, n, n, one, pointers[0], n, pointers[1], n, zero, pointers[2], n)

        def peer(state={"repetitions": 1}):
            while True:
                start = time.perf_counter()
                for _ in range(state["repetitions"]):
                    product()
                seconds = time.perf_counter() - start
                if seconds >= 0.02:
                    return seconds / state["repetitions"]
                state["repetitions"] *= 2
        peer()
        ours = Paced("gemm", "--sizes", n, devices=devices())
        theirs = in_turns(peer, ours.round, pairs=PAIRS)[0]
        work = 2e-9 * n ** 3
        record.speed(f"{n} × {n} × {n}", ours.seconds["cpu"], theirs, name, target=0.97, gflops=work)
        for device in ours.devices[1:]:
            record.speed(f"{n} × {n} × {n}", ours.seconds[device], ours.seconds["cpu"], "our CPU device", target=0.90,
                         device=device)
        record.details[f"{n}"] = {
            "gflops": {d: round(work / min(s), 1) for d, s in {**ours.seconds, "peer": theirs}.items()},
            "max_deviation": {x["device"]: x["max_deviation"] for x in ours.result["cases"]}}
