"""The OpenCL device: products against OpenBLAS and CLBlast, factorization against our CPU device, the second start."""
import ctypes
import json
import os
import subprocess
import tempfile
import time

from cases.gemm import openblas
from harness import PAIRS, ROOT, THREADS, Paced, apus, case, data, devices, in_turns, timed

# What a user of OpenBLAS would write in C: a loop over small products, and a pass over a result on all threads.
LOOPS = r"""
#include <cblas.h>
#include <stddef.h>
void batch(int count, int n, const float *a, const float *b, float *c) {
    for (ptrdiff_t i = 0; i < count; ++i) {
        const ptrdiff_t place = i * n * n;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a + place, n, b + place, n, 0, c + place, n);
    }
}
void batch_on_threads(int threads, int count, int n, const float *a, const float *b, float *c) {
#pragma omp parallel for num_threads(threads)
    for (int t = 0; t < threads; ++t) {
        const ptrdiff_t first = (ptrdiff_t)count * t / threads, last = (ptrdiff_t)count * (t + 1) / threads;
        batch((int)(last - first), n, a + first * n * n, b + first * n * n, c + first * n * n);
    }
}
void bias_relu(int threads, int n, const float *bias, float *c) {
#pragma omp parallel for num_threads(threads)
    for (int i = 0; i < n; ++i) {
        float *row = c + (ptrdiff_t)i * n;
        for (int j = 0; j < n; ++j) {
            const float value = row[j] + bias[j];
            row[j] = value > 0 ? value : 0;
        }
    }
}
"""


def loops():
    def make(folder):
        (folder / "loops.c").write_text(LOOPS)
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "openblas"], check=True, capture_output=True, text=True)
        subprocess.run(["cc", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", folder / "loops.c", "-o",
                        folder / "loops.so", *flags.stdout.split()], check=True)
    return ctypes.CDLL(str(data("openblas-loops-2", make) / "loops.so"))


def queued(run, wait, least=0.02):
    """Seconds of one call in a queue that lasts at least so long."""
    state = {"repetitions": 1}

    def measure():
        while True:
            start = time.perf_counter()
            for _ in range(state["repetitions"]):
                run()
            wait()
            seconds = time.perf_counter() - start
            if seconds >= least:
                return seconds / state["repetitions"]
            state["repetitions"] *= 2
    run()
    wait()
    return measure


class CLBlast:
    """Products of CLBlast (Debian: libclblast-dev) with its defaults on the first OpenCL device, through its C interface."""

    def __init__(self):
        self.cl, self.blas = ctypes.CDLL("libOpenCL.so.1"), ctypes.CDLL("libclblast.so.1")
        for name in ("clCreateContext", "clCreateCommandQueue", "clCreateBuffer"):
            getattr(self.cl, name).restype = ctypes.c_void_p
        platform, device = ctypes.c_void_p(), ctypes.c_void_p()
        self._done(self.cl.clGetPlatformIDs(1, ctypes.byref(platform), None))
        self._done(self.cl.clGetDeviceIDs(platform, ctypes.c_uint64(0xFFFFFFFF), 1, ctypes.byref(device), None))
        self.context = ctypes.c_void_p(self.cl.clCreateContext(None, 1, ctypes.byref(device), None, None, None))
        self.queue = ctypes.c_void_p(self.cl.clCreateCommandQueue(self.context, device, ctypes.c_uint64(0), None))

    def _done(self, code):
        if code:
            raise RuntimeError(f"OpenCL or CLBlast answered {code}")

    def product(self, a, b, c):
        """A function that measures a product of these matrices, copied to the device."""
        read_write, copy = 1, 32
        n = a.shape[0]
        buffers = [ctypes.c_void_p(self.cl.clCreateBuffer(
            self.context, ctypes.c_uint64(read_write | copy), ctypes.c_size_t(x.nbytes), ctypes.c_void_p(x.ctypes.data),
            None)) for x in (a, b, c)]
        size, zero, event = ctypes.c_size_t(n), ctypes.c_size_t(0), ctypes.c_void_p()
        one, none = ctypes.c_float(1), ctypes.c_float(0)

        def run():
            self._done(self.blas.CLBlastSgemm(
                101, 111, 111, size, size, size, one, buffers[0], zero, size, buffers[1], zero, size, none, buffers[2],
                zero, size, ctypes.byref(self.queue), ctypes.byref(event)))
            self._done(self.cl.clReleaseEvent(event))
        return queued(run, lambda: self._done(self.cl.clFinish(self.queue)))


def gpu_or_pocl():
    found = [d for d in devices() if d != "cpu"]
    if not found:
        raise RuntimeError("there is no OpenCL device here")
    return found[0]


def square(record, sizes, target, clblast, epilogue):
    import numpy as np
    library, name = openblas()
    device = gpu_or_pocl()
    passes = loops() if epilogue else None
    random = np.random.default_rng(1)
    for n in sizes:
        a, b = (random.standard_normal((n, n), np.float32) for _ in range(2))
        c, bias = np.empty((n, n), np.float32), random.standard_normal(n).astype(np.float32)
        pointers = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, c)]
        one, zero = ctypes.c_float(1), ctypes.c_float(0)

        def product():
            library.cblas_sgemm(101, 111, 111, n, n, n, one, pointers[0], n, pointers[1], n, zero, pointers[2], n)

        def product_and_pass():
            product()
            passes.bias_relu(THREADS, n, ctypes.c_void_p(bias.ctypes.data), pointers[2])
        subject = f"{n} × {n} × {n}{', bias and ReLU' if epilogue else ''}"
        ours = Paced("gemm", "--sizes", n, *(["--bias-relu"] if epilogue else []), devices=[device])
        bodies = [queued(product_and_pass if epilogue else product, lambda: None), ours.round]
        theirs = in_turns(*bodies, pairs=PAIRS)[0]
        peer = f"{name}{', then a pass' if epilogue else ''}"
        record.speed(subject, ours.seconds[device], theirs, peer, target=target, device=device,
                     gflops=2e-9 * n ** 3)
        if clblast:
            # Apart: it is so slow that taking turns would make the others wait for it.
            times = in_turns(clblast.product(a, b, c), pairs=3)[0]
            record.speed(subject, ours.seconds[device], times, "CLBlast, defaults", target=10, device=device)


@case("opencl-gemm", "The OpenCL device", "C = A · B in float32 on PoCL")
def opencl_gemm(record):
    """Seconds of one product in a queue of at least 20 ms. OpenBLAS is called directly, with as many threads as PoCL has;
    CLBlast, through its C interface with its default parameters, runs on the same PoCL after the others."""
    try:
        clblast = CLBlast()
    except OSError:
        clblast = None
    square(record, (1024, 2048, 4096), 0.95, clblast, False)
    square(record, (128, 256), 0.7, None, False)


@case("opencl-gemm-epilogue", "The OpenCL device", "The same with bias and ReLU in the product")
def opencl_gemm_epilogue(record):
    """OpenBLAS is followed by a separate pass over its result, in C on as many threads."""
    square(record, (1024, 2048, 4096), 1.0, None, True)


@case("opencl-gemm-batch", "The OpenCL device", "Batches of small products on PoCL")
def opencl_gemm_batch(record):
    """All products of a batch in one launch, in a queue. OpenBLAS is called from C, by as many threads at once for a share of
    the products each, with one thread of its own: what it does best with small products."""
    import numpy as np
    library, name = openblas()
    device, calls = gpu_or_pocl(), loops()
    library.openblas_set_num_threads(1)
    random = np.random.default_rng(1)
    for n, count in ((64, 64), (64, 1024), (32, 1024)):
        a, b = (random.standard_normal((count, n, n), np.float32) for _ in range(2))
        c = np.empty((count, n, n), np.float32)
        pointers = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, c)]
        ours = Paced("gemm", "--sizes", n, "--batch", count, devices=["cpu", device])
        theirs = in_turns(
            queued(lambda: calls.batch_on_threads(THREADS, count, n, *pointers), lambda: None), ours.round)[0]
        for ours_on in ours.devices:
            record.speed(f"{count} of {n} × {n} × {n}", ours.seconds[ours_on], theirs, name,
                         target=0.7 if ours_on == device else None, device=ours_on, gflops=2e-9 * count * n ** 3)
    library.openblas_set_num_threads(THREADS)


@case("opencl-als", "The OpenCL device", "Matrix factorization on PoCL, 8 million interactions")
def opencl_als(record):
    """Seconds of an iteration, PoCL and our CPU device in turns. The loss after the last iteration is compared too."""
    device = gpu_or_pocl()
    for factors, solver in ((64, "cg"), (128, "cg"), (64, "exact")):
        ours = Paced("als", "--users", 138_000, "--items", 20_000, "--interactions", 8_000_000, "--factors", factors,
                     "--solver", solver, devices=["cpu", device], runs=min(PAIRS, 5))
        for _ in range(min(PAIRS, 5)):
            ours.round()
        record.speed(f"d = {factors}, {solver}", ours.seconds[device], ours.seconds["cpu"], "our CPU device", target=1.0,
                     device=device)
        loss = {x["device"]: x["loss"] for x in ours.result["cases"]}
        record.details[f"loss, d = {factors}, {solver}"] = loss


@case("opencl-start", "The OpenCL device", "The second start, its programs cached")
def opencl_start(record):
    """Seconds of a short training of 300,000 interactions as a whole command, on PoCL with the programs of an earlier run on
    disk, less those on the CPU device, taken in turns."""
    device = gpu_or_pocl()
    with tempfile.TemporaryDirectory() as folder:
        shop = os.path.join(folder, "shop.csv")
        apus("synth", "interactions", "--users", 5000, "--items", 2000, "--interactions", 300_000, "--seed", 42,
             "--output", shop)

        def train(name):
            return timed(lambda: apus(
                "train", "als", "--interactions", shop, "--factors", 64, "--device", name, "--threads", THREADS,
                "--seed", 42, "--quiet", "--output", os.path.join(folder, f"{name.replace(':', '-')}.apus")))
        train("cpu")(), train(device)()
        cpu, opencl = in_turns(train("cpu"), train(device))
        extra = sorted(o - c for o, c in zip(opencl, cpu))[len(cpu) // 2]
        record.at_most("longer than on the CPU device", extra, 0.150, "s", device=device,
                       cpu_all=cpu, opencl_all=opencl)


@case("opencl-devices", "The OpenCL device", "Certificate and roofline of this machine's devices")
def opencl_devices(record):
    """`apus doctor --device opencl --certificate Benchmarks/results/certificate-pocl.json` checks every operation against
    double precision and measures it; then `apus bench` sets gemm, ALS, top-k and transfers of all devices beside each other.
    PoCL runs the OpenCL kernels on the CPU's own cores, so that both devices have the same limits here. `scripts/gpu-check`
    makes the record of a GPU.

    ![Roofline, and bars of the CPU device and PoCL](plots/devices.svg)"""
    device = gpu_or_pocl()
    certificate = ROOT / "Benchmarks" / "results" / "certificate-pocl.json"
    apus("doctor", "--device", device, "--threads", THREADS, "--quiet", "--certificate", certificate)
    found = json.loads(certificate.read_text())
    failures = sum(x["failures"] for x in found["operations"])
    record.at_most(f"failed cases of {sum(x['cases'] for x in found['operations'])}", failures, 0, "", device=device)
    worst = max(found["operations"], key=lambda x: x["worst_deviation_over_tolerance"])
    record.at_most(f"largest deviation in relation to its tolerance ({worst['operation']})",
                   worst["worst_deviation_over_tolerance"], 1, "", device=device)
    record.details["percent of limit"] = {
        x["operation"]: round(x["speed"]["percent_of_limit"], 1) for x in found["operations"] if x.get("speed")}
    plot = ROOT / "docs" / "plots" / "devices.svg"
    plot.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for place, arguments in enumerate((
                ("gemm", "--sizes", "128,256,512,1024,2048,4096", "--shapes", "100000x64x256"),
                ("gemm", "--sizes", "64", "--batch", 256), ("als", "--factors", "64", "--solver", "cg"),
                ("topk", "--vectors", 100_000), ("transfer",))):
            files.append(os.path.join(folder, f"{place}.json"))
            apus("bench", *arguments, "--device", "cpu", "--device", device, "--threads", THREADS, "--runs", 5, "--quiet",
                 "--output", files[-1])
        apus("bench", "merge", *files, "--plot", plot)
