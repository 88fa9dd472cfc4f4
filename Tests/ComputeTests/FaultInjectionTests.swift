import Compute
import Conformance
import Core
import Testing

@Suite("Fault injection") struct FaultInjectionTests {
    /// Uploads, multiplies, replays, downloads.
    private func work(_ device: any Device) throws(ComputeError) -> [Float] {
        let stream = try device.makeStream()
        let a = try stream.upload(HostMatrix(rows: 2, columns: 2, elements: [1, 2, 3, 4]))
        let b = try stream.wrap(HostMatrix(rows: 2, columns: 2, elements: [0, 1, 1, 0]))
        let c = try stream.allocate(rows: 2, columns: 2)
        try stream.gemm(a, b, into: c)
        let plan = try stream.record { stream throws(ComputeError) in try stream.gemm(a, b, beta: 1, into: c) }
        try stream.replay(plan)
        try stream.finish()
        return try stream.download(c, as: Float.self)
    }

    @Test("fails the n-th call with its error", arguments: FaultInjectingDevice.Fault.allCases)
    func failsEveryCall(_ fault: FaultInjectingDevice.Fault) throws {
        let sound = FaultInjectingDevice(OracleDevice(), fault: fault, at: nil)
        #expect(try work(sound) == [4, 2, 8, 6])
        #expect(sound.callCount >= 2)
        for position in 0..<sound.callCount {
            let device = FaultInjectingDevice(OracleDevice(), fault: fault, at: position)
            let error = computeError { () throws(ComputeError) in _ = try work(device) }
            switch (fault, error) {
            case (.outOfMemory, .outOfMemory), (.buildFailed, .buildFailed), (.launchRefused, .driver),
                (.deviceLost, .deviceLost):
                break
            default: Issue.record("\(fault) at \(position) threw \(String(describing: error))")
            }
            #expect(device.callCount == position + 1)
        }
    }

    @Test func aLostDeviceStaysLost() throws {
        let device = FaultInjectingDevice(OracleDevice(), fault: .deviceLost, at: 1)
        let stream = try device.makeStream()
        for _ in 0..<3 {
            let error = computeError { () throws(ComputeError) in _ = try stream.allocate(rows: 1, columns: 1) }
            guard case .deviceLost = error else {
                Issue.record("threw \(String(describing: error))")
                return
            }
        }
    }

    @Test func memoryIsLimitedAndGivenBack() throws {
        let device = OracleDevice(memoryLimit: 1000)
        let stream = try device.makeStream()
        do {
            let matrix = try stream.allocate(rows: 10, columns: 20)
            #expect(device.allocatedBytes == 800)
            let error = computeError { () throws(ComputeError) in _ = try stream.allocate(rows: 1, columns: 51) }
            #expect(error == .outOfMemory(device: "oracle", requestedBytes: 204, availableBytes: 200))
            #expect(matrix.count == 200)
        }
        #expect(device.allocatedBytes == 0)
        _ = try stream.allocate(rows: 1, columns: 250)
    }
}
