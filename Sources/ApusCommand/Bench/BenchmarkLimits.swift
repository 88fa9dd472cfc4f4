import CVectorLoops
import Compute
import Core

#if canImport(Glibc)
    import Glibc
#endif

/// Measures what a device can do at most.
enum BenchmarkLimits {
    static func measure(_ device: any Device, _ stream: Compute.Stream) throws -> MeasuredLimits {
        let (rate, method) =
            device.identity.deviceClass == .cpu
            ? (try registerLoopRate(threads: device.limits.computeUnits), "register loop")
            : (try productRate(stream), "largest product")
        let launch = try launchSeconds(stream)
        let (memory, upload, download) = try memoryRates(device, stream)
        return MeasuredLimits(
            multiplyAddGflops: rate * 1e-9, multiplyAddMethod: method, memoryGigabytesPerSecond: memory * 1e-9,
            launchSecondsQueued: launch.queued, launchSecondsWaited: launch.waited,
            uploadGigabytesPerSecond: upload * 1e-9, downloadGigabytesPerSecond: download * 1e-9)
    }

    /// Operations per second of multiply-adds that never leave the registers, on all threads of this processor: the
    /// limit of whatever computes on it, OpenCL runtimes included.
    private static func registerLoopRate(threads: Int) throws -> Double {
        var best = 0.0
        for attempt in 0..<8 {
            try Interruption.check()
            best = max(best, attempt % 2 == 0 ? loopRate(threads, wide: true) : loopRate(threads, wide: false))
        }
        return best
    }

    /// Rate of the caller while all other threads run the same loop, times their number.
    private static func loopRate(_ threads: Int, wide: Bool) -> Double {
        let rounds: Int64 = 1 << 18
        var others: [pthread_t] = []
        for _ in 1..<max(threads, 1) {
            var thread = pthread_t()
            let code = pthread_create(
                &thread, nil,
                { wide in
                    // Long enough to cover the time that the caller measures.
                    _ = apus_multiply_add_loop(3 << 18, wide != nil)
                    return nil
                }, wide ? UnsafeMutableRawPointer(bitPattern: 1) : nil)
            if code == 0 { others.append(thread) }
        }
        // Lets the other threads get under way.
        _ = apus_multiply_add_loop(rounds / 2, wide)
        let start = monotonicSeconds()
        let operations = apus_multiply_add_loop(rounds, wide)
        let seconds = monotonicSeconds() - start
        for thread in others { pthread_join(thread, nil) }
        return operations / seconds * Double(others.count + 1)
    }

    /// Operations per second of a large product, queued several times: for devices whose units we can't program
    /// directly.
    private static func productRate(_ stream: Compute.Stream) throws -> Double {
        var best = 0.0
        for n in [1024, 2048, 4096, 8192] {
            let (a, b, c) = (
                try stream.allocate(rows: n, columns: n), try stream.allocate(rows: n, columns: n),
                try stream.allocate(rows: n, columns: n)
            )
            try stream.randomUniform(a, seed: 1, stream: 1)
            try stream.randomUniform(b, seed: 1, stream: 2)
            try stream.gemm(a, b, into: c)
            try stream.finish()
            let seconds = try BenchmarkTiming.best(of: 5) {
                try stream.gemm(a, b, into: c)
                try stream.finish()
            }
            best = max(best, 2 * Double(n) * Double(n) * Double(n) / seconds)
            // A device on which this takes long will not be faster at a larger size.
            if seconds > 0.5 { break }
        }
        return best
    }

    private static func launchSeconds(_ stream: Compute.Stream) throws -> (queued: Double, waited: Double) {
        let tiny = try stream.allocate(rows: 1, columns: 16)
        try stream.fill(tiny, with: 0)
        try stream.finish()
        let (queued, waited) = (1000, 100)
        let queuedSeconds = try BenchmarkTiming.best(of: 3) {
            for _ in 0..<queued { try stream.fill(tiny, with: 1) }
            try stream.finish()
        }
        let waitedSeconds = try BenchmarkTiming.best(of: 3) {
            for _ in 0..<waited {
                try stream.fill(tiny, with: 1)
                try stream.finish()
            }
        }
        return (queuedSeconds / Double(queued), waitedSeconds / Double(waited))
    }

    /// Bytes per second of a copy on the device (read and written), of an upload and of a download.
    private static func memoryRates(
        _ device: any Device, _ stream: Compute.Stream
    ) throws -> (copy: Double, upload: Double, download: Double) {
        // Larger than any cache, smaller than any device.
        let bytes = min(256 << 20, device.limits.largestAllocationBytes / 4)
        let host = HostMatrix(rows: bytes / 4096, columns: 1024, repeating: 1)
        let source = try stream.upload(host)
        let target = try stream.allocate(rows: source.rows, columns: source.columns)
        try stream.copy(source, to: target)
        try stream.finish()
        let copy = try BenchmarkTiming.best(of: 5) {
            try stream.copy(source, to: target)
            try stream.finish()
        }
        let upload = try BenchmarkTiming.best(of: 3) {
            _ = try stream.upload(host)
            try stream.finish()
        }
        let download = try BenchmarkTiming.best(of: 3) { _ = try stream.download(target) }
        let size = Double(source.count * 4)
        return (2 * size / copy, size / upload, size / download)
    }
}
