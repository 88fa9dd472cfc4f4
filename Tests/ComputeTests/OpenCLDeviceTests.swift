import Compute
import ComputeOpenCL
import Core
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// The device around the kernels: limits, memory, plans, counters, errors.
@Suite struct OpenCLDeviceTests {
    typealias Support = OpenCLTestSupport

    @Test func discoveryNamesDevices() throws {
        let found = OpenCLDevice.discover()
        let description = try Support.description()
        #expect(Set(found.map(\.identity.name)).count == found.count)
        #expect(
            description.identity.name.hasPrefix("opencl:") && description.identity.name.split(separator: ".").count == 2
        )
        #expect(description.limits.sharesHostMemory && description.limits.computeUnits > 0)
        #expect(description.identity.driver.contains("driver"))
    }

    @Test func threadsLimitTheComputeUnits() throws {
        let one = try Support.open(OpenCLDeviceOptions(threads: 1))
        #expect(one.limits.computeUnits == 1)
        let stream = try one.makeStream()
        let a = Support.random(200, 200, seed: 1)
        let output = try stream.allocate(rows: 200, columns: 200)
        try stream.gemm(stream.wrap(a), stream.wrap(a), into: output)
        let whole = try Support.open().makeStream()
        let other = try whole.allocate(rows: 200, columns: 200)
        try whole.gemm(whole.wrap(a), whole.wrap(a), into: other)
        #expect(try stream.download(output).storage.array == whole.download(other).storage.array)
        #expect(throws: ComputeError.self) { try Support.open(OpenCLDeviceOptions(threads: 0)) }
    }

    /// What the conformance suite relies on to find reads of memory that nobody wrote: fresh memory and reused memory alike.
    @Test func poisonedMemoryIsNotANumber() throws {
        let stream = try Support.open(OpenCLDeviceOptions(poisonsMemory: true)).makeStream()
        for _ in 0..<3 {
            let matrix = try stream.allocate(rows: 40, columns: 30)
            #expect(try stream.download(matrix).storage.array.allSatisfy(\.isNaN))
            try stream.fill(matrix, with: 1)
            #expect(try stream.download(matrix).storage.array.allSatisfy { $0 == 1 })
        }
    }

    @Test func wrappedMemoryIsTheSameMemory() throws {
        let device = try Support.open()
        let stream = try device.makeStream()
        let host = HostMatrix(rows: 3000, columns: 7, repeating: 1)
        let before = device.allocatedBytes
        let matrix = try stream.wrap(host)
        try stream.fill(matrix, with: 4)
        try stream.finish()
        #expect(host[2999, 6] == 4)
        #expect(device.allocatedBytes == before && stream.counters.bytesUploaded == 0)
    }

    @Test func wrappedMemoryOutlivesItsOwnerWhileItIsUsed() throws {
        let stream = try Support.open().makeStream()
        let output = try stream.allocate(rows: 600, columns: 600)
        for round in 1...20 {
            // The host matrix and its handle go away while the product may still be queued.
            let value = Float(round)
            try stream.gemm(
                stream.wrap(HostMatrix(rows: 600, columns: 600, repeating: value)),
                stream.wrap(HostMatrix(rows: 600, columns: 600, repeating: 1)), into: output)
        }
        #expect(try stream.download(output)[599, 599] == 12000)
    }

    @Test func unalignedViewsAreCopied() throws {
        let stream = try Support.open().makeStream()
        let whole = HostBuffer<Float>((0..<100).map { Float($0) })
        let view = HostBuffer<Float>(viewing: whole.baseAddress + 3, count: 50) { _ = whole }
        let matrix = try stream.wrap(HostMatrix(rows: 5, columns: 10, storage: view))
        #expect(try stream.download(matrix)[4, 9] == 52)
    }

    @Test func freedBuffersAreUsedAgainAndDrained() throws {
        let limit = 40 << 20
        let device = try Support.open(OpenCLDeviceOptions(memoryLimitBytes: limit))
        let stream = try device.makeStream()
        do {
            let first = try stream.allocate(rows: 1024, columns: 4096)
            try stream.fill(first, with: 1)
        }
        let pooled = device.allocatedBytes
        #expect(pooled >= 16 << 20)
        do {
            let again = try stream.allocate(rows: 4096, columns: 1024)
            try stream.fill(again, with: 2)
        }
        #expect(device.allocatedBytes == pooled)
        // Fits only when what lies in the pool goes.
        let large = try stream.allocate(rows: 1024, columns: 8192)
        try stream.fill(large, with: 3)
        #expect(device.allocatedBytes <= limit)
        #expect {
            _ = try stream.allocate(rows: 1024, columns: 8192)
        } throws: { error in
            guard case .outOfMemory(_, let requested, let available)? = error as? ComputeError else { return false }
            return requested == 32 << 20 && available < 9 << 20 && available >= 0
        }
        #expect(try stream.download(large)[1023, 8191] == 3)
    }

    @Test func closingAStreamGivesItsMemoryBack() throws {
        let device = try Support.open()
        do {
            let stream = try device.makeStream()
            let matrix = try stream.allocate(rows: 100, columns: 100)
            try stream.fill(matrix, with: 1)
        }
        #expect(device.allocatedBytes == 0)
    }

    @Test func planReplayEqualsExecution() throws {
        let stream = try Support.open().makeStream()
        let a = try stream.wrap(Support.random(130, 70, seed: 1))
        let gram = try stream.allocate(rows: 70, columns: 70)
        let scores = try stream.allocate(rows: 130, columns: 130)
        let product = try stream.allocate(rows: 130, columns: 70)
        func work(_ stream: Compute.Stream) throws(ComputeError) {
            try stream.gram(a, into: gram)
            try stream.gemm(a, gram, into: product)
            try stream.gemm(product, a, transposeB: true, activation: .tanh, into: scores)
        }
        try work(stream)
        let expected = try stream.download(scores).storage.array
        try stream.fill(scores, with: .nan)
        let plan = try stream.record(work)
        let before = stream.counters
        for _ in 0..<3 { try stream.replay(plan) }
        let after = stream.counters - before
        #expect(try stream.download(scores).storage.array == expected)
        #expect(after.launches == 3 * (2 + 1 + 1) && after.allocations == 0)
    }

    @Test func launchesAreCounted() throws {
        let stream = try Support.open().makeStream()
        func launches(_ work: (Compute.Stream) throws -> Void) rethrows -> Int {
            let before = stream.counters.launches
            try work(stream)
            return stream.counters.launches - before
        }
        for size in [64, 600] {
            let a = try stream.allocate(rows: size, columns: size)
            let c = try stream.allocate(rows: size, columns: size)
            #expect(try launches { try $0.fill(a, with: 1) } == 1)
            #expect(try launches { try $0.gemm(a, a, into: c) } == (size < 264 ? 1 : 2))
            #expect(try launches { try $0.gemm(a, transposeA: true, a, into: c) } == 3)
            #expect(try launches { try $0.gram(a, into: c) } == 2)
        }
    }

    @Test func handlesOfAnotherOpeningAreRefused() throws {
        let stream = try Support.open().makeStream()
        let foreign = try Support.open().makeStream().allocate(rows: 2, columns: 2)
        #expect(throws: ComputeError.self) { try stream.fill(foreign, with: 1) }
        #expect(throws: ComputeError.self) { _ = try stream.download(foreign) }
    }

    @Test func buildFailuresCarryTheLog() throws {
        let device = try Support.open()
        #expect {
            try device.compile(source: "__kernel void broken(__global float *x) { x[0] = nonsense; }", named: "broken")
        } throws: { error in
            guard case .buildFailed(_, "broken", let log)? = error as? ComputeError else { return false }
            return log.contains("nonsense")
        }
    }

    @Test func gpuClassRunsElementwiseKernels() throws {
        let stream = try Support.open(OpenCLDeviceOptions(kernelClass: .gpu)).makeStream()
        let output = try Support.padded(stream, HostMatrix(rows: 9, columns: 130), pad: 3)
        try stream.randomUniform(output, seed: 5, stream: 6)
        let philox = Philox(seed: 5, stream: 6)
        #expect(try stream.download(output).storage.array == (0..<9 * 130).map { philox.uniform(UInt64($0)) })
    }
}
