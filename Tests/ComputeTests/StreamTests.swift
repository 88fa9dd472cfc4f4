import Compute
import Conformance
import Core
import Testing

@Suite("Streams") struct StreamTests {
    @Test("count what they move and wait for", arguments: TestDevice.all)
    func counters(_ target: TestDevice) throws {
        let stream = try target.device.makeStream()
        let before = stream.counters
        let matrix = try stream.upload(HostMatrix(rows: 3, columns: 5, repeating: 2))
        let vector = try stream.upload([Int32](repeating: 1, count: 7))
        var made = stream.counters - before
        #expect(made.bytesUploaded == 4 * (15 + 7) && made.allocations == 2)
        #expect(made.waits == 0 && made.bytesDownloaded == 0 && made.launches == 0)
        let output = try stream.allocate(rows: 7, columns: 5)
        try stream.gather(matrix, rows: vector, into: output)
        try stream.finish()
        #expect(try stream.download(output.columns(1..<3), as: Float.self) == [Float](repeating: 2, count: 14))
        made = stream.counters - before
        #expect(made.launches >= 1 && made.waits == 2 && made.bytesDownloaded == 4 * 14 && made.allocations == 3)
    }

    @Test("wrap host memory without copying it where they share it", arguments: TestDevice.all)
    func wrapping(_ target: TestDevice) throws {
        let stream = try target.device.makeStream()
        let host = HostMatrix(rows: 40, columns: 30, repeating: 1.5)
        let before = stream.counters
        let matrix = try stream.wrap(host)
        let made = stream.counters - before
        let shared = target.device.limits.sharesHostMemory
        #expect(made.bytesUploaded == (shared ? 0 : 4800) && made.allocations == (shared ? 0 : 1))
        #expect(try stream.download(matrix).storage.array == host.storage.array)
    }

    @Test("replay a plan of dependent operations in order", arguments: TestDevice.all)
    func plans(_ target: TestDevice) throws {
        let stream = try target.device.makeStream()
        let input = try stream.upload(HostMatrix(rows: 4, columns: 3, elements: (0..<12).map(Float.init)))
        let gram = try stream.allocate(rows: 3, columns: 3)
        let product = try stream.allocate(rows: 4, columns: 3)
        let norms = try stream.allocate(rows: 1, columns: 4)
        let body = { (stream: Stream) throws(ComputeError) in
            try stream.gram(input, into: gram)
            try stream.gemm(input, gram, into: product)
            try stream.rowNorms(product, into: norms)
            try stream.scaleRows(product, by: norms, divide: true, into: product)
        }
        try body(stream)
        let direct = try stream.download(product).storage.array
        let plan = try stream.record(body)
        #expect(plan.operations.map(\.kind) == [.gram, .gemm, .rowNorms, .scaleRows])
        for _ in 0..<3 {
            try stream.fill(product, with: .nan)
            let before = stream.counters
            try stream.replay(plan)
            let made = stream.counters - before
            #expect(made.allocations == 0 && made.bytesUploaded == 0 && made.waits == 0 && made.launches >= 4)
            #expect(try stream.download(product).storage.array == direct)
        }
    }

    @Test("keep the memory of what they were given", arguments: TestDevice.all)
    func lifetimes(_ target: TestDevice) throws {
        let stream = try target.device.makeStream()
        let output = try stream.allocate(rows: 1, columns: 1000)
        for round in 0..<20 {
            // The input is dropped before its copy is awaited.
            try stream.copy(
                try stream.wrap(HostMatrix(rows: 1, columns: 1000, repeating: Float(round))), to: output)
        }
        #expect(try stream.download(output, as: Float.self) == [Float](repeating: 19, count: 1000))
    }

    @Test("do not disturb each other", arguments: TestDevice.all)
    func concurrentStreams(_ target: TestDevice) async throws {
        let device = target.device
        let sums = try await withThrowingTaskGroup(of: [Float].self) { group in
            for worker in 0..<4 {
                group.addTask {
                    let stream = try device.makeStream()
                    let input = try stream.upload(
                        HostMatrix(rows: 100, columns: 8, repeating: Float(worker)))
                    let output = try stream.allocate(rows: 1, columns: 8)
                    for _ in 0..<20 { try stream.columnSums(input, into: output) }
                    return try stream.download(output, as: Float.self)
                }
            }
            return try await group.reduce(into: [[Float]]()) { $0.append($1) }
        }
        #expect(Set(sums) == Set((0..<4).map { [Float](repeating: Float(100 * $0), count: 8) }))
    }
}
