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

    @Test("do work of the host between operations without a wait", arguments: TestDevice.all)
    func hostWork(_ target: TestDevice) throws {
        let stream = try target.device.makeStream()
        let input = try stream.upload(HostMatrix(rows: 4, columns: 3, elements: (0..<12).map(Float.init)))
        let gram = try stream.allocate(rows: 3, columns: 3)
        let (doubled, sum) = (try stream.allocate(rows: 3, columns: 3), try stream.allocate(rows: 1, columns: 1))
        let product = try stream.allocate(rows: 4, columns: 3)
        for turn in 1...3 {
            try stream.fill(input.rows(0..<1), with: Float(turn))
            let before = stream.counters
            try stream.gram(input, into: gram)
            try stream.computeOnHost(gram, into: [doubled, sum]) { elements throws(ComputeError) in
                [elements.map { 2 * $0 }, [elements.reduce(0, +)]]
            }
            // What follows on the queue sees the results, and what is overwritten now was read before.
            try stream.gemm(input, doubled, into: product)
            try stream.fill(gram, with: .nan)
            let made = stream.counters - before
            #expect(made.bytesDownloaded == 36 && made.bytesUploaded == 40 && made.allocations == 0)
            if target.device.identity.backend != OracleDevice().identity.backend { #expect(made.waits == 0) }
            let rows = [[Float](repeating: Float(turn), count: 3), [3, 4, 5], [6, 7, 8], [9, 10, 11]]
            var expected = [Float](repeating: 0, count: 9)
            for row in rows {
                for place in 0..<9 { expected[place] += row[place / 3] * row[place % 3] }
            }
            var products = [Float](repeating: 0, count: 12)
            for place in 0..<12 {
                for k in 0..<3 { products[place] += 2 * rows[place / 3][k] * expected[3 * k + place % 3] }
            }
            #expect(try stream.download(sum, as: Float.self) == [expected.reduce(0, +)])
            #expect(try stream.download(product).storage.array == products)
        }
    }

    @Test("tell what work of the host threw, and go on", arguments: TestDevice.all)
    func failingHostWork(_ target: TestDevice) throws {
        let stream = try target.device.makeStream()
        let input = try stream.upload([1, 2, 3] as [Float])
        let output = try stream.allocate(rows: 1, columns: 3)
        let singular = ComputeError.invalidArgument(operation: "cholesky", reason: "the matrix is singular")
        var error = computeError { () throws(ComputeError) in
            try stream.computeOnHost(input, into: [output]) { _ throws(ComputeError) in throw singular }
            try stream.finish()
        }
        #expect(error.map { "\($0)" } == "\(singular)")
        error = computeError { () throws(ComputeError) in
            try stream.computeOnHost(input, into: [output]) { _ throws(ComputeError) in [[1]] }
            _ = try stream.download(output)
        }
        #expect(error.map { "\($0)".contains("[1] elements for outputs of [3]") } == true)
        try stream.computeOnHost(input, into: [output]) { elements throws(ComputeError) in [elements.reversed()] }
        #expect(try stream.download(output, as: Float.self) == [3, 2, 1])
        error = computeError { () throws(ComputeError) in
            _ = try stream.record { stream throws(ComputeError) in
                try stream.computeOnHost(input, into: [output]) { elements throws(ComputeError) in [elements] }
            }
        }
        #expect(error.map { "\($0)".contains("can't be part of a plan") } == true)
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
