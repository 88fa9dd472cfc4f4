import Compute
import ComputeCPU
import Conformance
import Core
import Devices
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// What the conformance suite does not see: threads, memory, and the choice of the device.
@Suite("CPU device") struct CPUDeviceTests {
    @Test("gives the same bits for every number of threads", arguments: OperationKind.allCases)
    func sameBits(_ operation: OperationKind) throws {
        let reference = try CPUWorkload.results(of: operation, on: CPUDevice(threads: 1).makeStream())
        #expect(!reference.isEmpty && reference.allSatisfy { !$0.isEmpty })
        for threads in [2, 3] {
            let stream = try CPUDevice(threads: threads).makeStream()
            // More than once: which worker takes which chunk differs from run to run.
            for _ in 0..<3 {
                #expect(try CPUWorkload.results(of: operation, on: stream) == reference, "\(threads) threads")
            }
        }
    }

    /// Processors without instructions for pairs of bfloat16 round first.
    @Test("multiplies bfloat16 on every processor", arguments: [1, 3])
    func roundedProducts(_ threads: Int) throws {
        let stream = try CPUDevice(threads: threads, multipliesPairs: false).makeStream()
        let cases = ConformanceSuite.full.cases(of: .gemm).filter { $0.name.contains("bfloat16") }
        #expect(cases.count > 3)
        for one in cases {
            let result = one.run(on: stream)
            #expect(result.outcome == .passed, "\(one): \(result.message)")
        }
    }

    @Test func servesSeveralCallersAtOnce() async throws {
        let device = CPUDevice(threads: 3)
        let operations: [OperationKind] = [.gemm, .gram, .topK, .sparseTimesDense, .solveNormalEquations]
        let expected = try operations.map { try CPUWorkload.results(of: $0, on: CPUDevice(threads: 1).makeStream()) }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for caller in 0..<4 {
                group.addTask {
                    let stream = try device.makeStream()
                    var same = true
                    for round in 0..<4 {
                        let place = (caller + round) % operations.count
                        let results = try CPUWorkload.results(of: operations[place], on: stream)
                        same = same && results == expected[place]
                    }
                    return same
                }
            }
            for try await same in group { #expect(same) }
        }
    }

    @Test func manySmallJobsEnd() throws {
        let stream = try CPUDevice(threads: 4).makeStream()
        let input = try stream.upload(HostMatrix(rows: 70_000, columns: 1, repeating: 1))
        let output = try stream.allocate(rows: 70_000, columns: 1)
        for round in 0..<3000 {
            try stream.fill(input, with: Float(round))
            try stream.copy(input, to: output)
            // Workers fall asleep now and then.
            if round % 500 == 0 { usleep(2000) }
        }
        #expect(try stream.download(output).storage.array.allSatisfy { $0 == 2999 })
    }

    @Test func keepsToItsMemoryLimit() throws {
        let device = CPUDevice(threads: 1, memoryLimitBytes: 1 << 20)
        #expect(device.limits.memoryBytes == 1 << 20)
        let stream = try device.makeStream()
        do {
            let half = try stream.allocate(rows: 1, columns: 1 << 17)
            #expect(device.allocatedBytes == 1 << 19)
            let error = computeError { () throws(ComputeError) in _ = try stream.allocate(rows: 2, columns: 1 << 17) }
            #expect(
                error == .outOfMemory(device: "cpu", requestedBytes: 1 << 20, availableBytes: 1 << 19))
            withExtendedLifetime(half) {}
        }
        #expect(device.allocatedBytes == 0)
        _ = try stream.allocate(rows: 2, columns: 1 << 17)
        // Wrapped memory is the caller's own.
        let wrapped = try stream.wrap(HostMatrix(rows: 1, columns: 1 << 19))
        #expect(wrapped.columns == 1 << 19 && device.allocatedBytes == 0)
    }

    @Test func refusesMoreThanTheMachineHas() throws {
        let stream = try CPUDevice(threads: 1).makeStream()
        let error = computeError { () throws(ComputeError) in _ = try stream.allocate(rows: 1 << 24, columns: 1 << 24) }
        guard case .outOfMemory = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func keepsWrappedMemoryAlive() throws {
        let stream = try CPUDevice(threads: 1).makeStream()
        let matrix = try stream.wrap(HostMatrix(rows: 300, columns: 1000, repeating: 3))
        _ = HostMatrix(rows: 300, columns: 1000, repeating: 4)
        #expect(try stream.download(matrix).storage.array.allSatisfy { $0 == 3 })
    }

    @Test func tellsWhoItIs() {
        let device = CPUDevice(threads: 2)
        #expect(device.identity.name == "cpu" && device.identity.backend == "CPU-BLAS")
        #expect(device.identity.driver.hasPrefix("OpenBLAS") && !device.identity.model.isEmpty)
        #expect(device.limits.computeUnits == 2 && device.limits.sharesHostMemory)
        #expect(CPUDevice().limits.computeUnits == CPUDevice.availableCores)
        for name in ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"] {
            #expect(device.notes.contains { $0.hasPrefix(name) } == (environment(name) != nil))
        }
    }

    @Test func isSelectedByName() throws {
        let opened = try Devices.open("cpu", options: DeviceOptions(threads: 1, memoryLimitBytes: 1 << 22))
        #expect(opened.device.identity.name == "cpu" && !opened.explanation.isEmpty)
        #expect(opened.device.limits.computeUnits == 1 && opened.device.limits.memoryBytes == 1 << 22)
        #expect(Devices.list().first?.name == "cpu")
        let chosen = try Devices.open("auto").device.identity
        #expect(chosen.name == "cpu" || chosen.deviceClass == .gpu)
        for name in ["", "gpu", "CPU", "cpu:0", "opencl:", "opencl:99.0", "opencl:0.99", "opencl:a.b"] {
            let error = computeError { () throws(ComputeError) in _ = try Devices.open(name) }
            guard case .unavailable(let device, _) = error else {
                Issue.record("\(name): \(String(describing: error))")
                continue
            }
            #expect(device == name)
        }
    }
}
