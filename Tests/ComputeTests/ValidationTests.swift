import Compute
import Conformance
import Core
import Testing

/// Every mistake is found before anything is enqueued, with the same words whatever the device.
@Suite("Validation") struct ValidationTests {
    /// A mistake, and what the message must contain.
    struct Mistake: Sendable {
        let label: String
        let fragment: String
        let make: @Sendable (Fixture) throws(ComputeError) -> Void

        init(
            _ label: String, _ fragment: String, _ make: @escaping @Sendable (Fixture) throws(ComputeError) -> Void
        ) {
            self.label = label
            self.fragment = fragment
            self.make = make
        }
    }

    /// Matrices of a stream to make mistakes with.
    final class Fixture {
        let stream: Stream
        let sparse: SparseMatrix

        init(_ device: any Device) throws(ComputeError) {
            stream = try device.makeStream()
            sparse = try stream.wrap(HostSparseMatrix(rows: 3, columns: 4, entries: [(0, 1, 1), (2, 3, 1)]))
        }

        func m(_ rows: Int, _ columns: Int, _ type: ElementType = .float32) throws(ComputeError) -> Matrix {
            try stream.allocate(rows: rows, columns: columns, type)
        }

        /// Columns 0 ..< 4 and 2 ..< 6 of one table of 3 rows.
        func overlapping() throws(ComputeError) -> (Matrix, Matrix) {
            let table = try m(3, 8)
            return (table.columns(0..<4), table.columns(2..<6))
        }
    }

    @Test("refuses", arguments: TestDevice.all)
    func refuses(_ target: TestDevice) throws {
        let reference = try Fixture(OracleDevice())
        let fixture = try Fixture(target.device)
        // Kernels launched would mean that something had been enqueued.
        let before = fixture.stream.counters.launches
        for mistake in Self.mistakes {
            let expected = computeError { () throws(ComputeError) in try mistake.make(reference) }
            let error = computeError { () throws(ComputeError) in try mistake.make(fixture) }
            guard case .invalidArgument = error, let expected else {
                Issue.record("\(mistake.label): threw \(String(describing: error))")
                continue
            }
            #expect(error == expected, "\(mistake.label)")
            #expect(
                expected.description.contains(mistake.fragment),
                "\(mistake.label): “\(expected)” does not contain “\(mistake.fragment)”")
        }
        #expect(fixture.stream.counters.launches == before)
    }

    @Test("refuses matrices of another device", arguments: TestDevice.all)
    func otherDevice(_ target: TestDevice) throws {
        let stream = try target.device.makeStream()
        let other = try OracleDevice(name: "another").makeStream()
        let mine = try stream.allocate(rows: 2, columns: 2)
        let theirs = try other.allocate(rows: 2, columns: 2)
        let name = target.device.identity.name
        let reason = "a matrix of device another on a stream of \(name)"
        #expect(
            computeError { () throws(ComputeError) in try stream.gemm(mine, theirs, into: mine) }
                == .invalidArgument(operation: "gemm", reason: reason))
        #expect(
            computeError { () throws(ComputeError) in _ = try stream.download(theirs) }
                == .invalidArgument(operation: "download", reason: reason))
        #expect(
            computeError { () throws(ComputeError) in try stream.upload([1, 2, 3, 4] as [Float], to: theirs) }
                == .invalidArgument(operation: "upload", reason: reason))
        let sparse = try other.wrap(HostSparseMatrix(rows: 2, columns: 2, entries: [(0, 0, 1)]))
        #expect(
            computeError { () throws(ComputeError) in try stream.multiply(sparse, mine, into: mine) }
                == .invalidArgument(operation: "sparseTimesDense", reason: reason))
    }

    @Test("refuses operations that the device does not support")
    func unsupported() throws {
        let stream = try OracleDevice(unsupportedOperations: [.fill: "a reason"]).makeStream()
        let matrix = try stream.allocate(rows: 1, columns: 1)
        #expect(
            computeError { () throws(ComputeError) in try stream.fill(matrix, with: 1) }
                == .unsupported(device: "oracle", operation: "fill", reason: "a reason"))
    }

    @Test("plans belong to their stream", arguments: TestDevice.all)
    func plans(_ target: TestDevice) throws {
        let stream = try target.device.makeStream()
        let other = try target.device.makeStream()
        let matrix = try stream.allocate(rows: 1, columns: 1)
        let plan = try stream.record { stream throws(ComputeError) in try stream.fill(matrix, with: 1) }
        #expect(
            computeError { () throws(ComputeError) in try other.replay(plan) }
                == .invalidArgument(operation: "replay", reason: "the plan was recorded on another stream"))
        let nested = computeError { () throws(ComputeError) in
            _ = try stream.record { stream throws(ComputeError) in
                _ = try stream.record { _ throws(ComputeError) in }
            }
        }
        #expect(
            nested
                == .invalidArgument(
                    operation: "record", reason: "a plan is being recorded on this stream already"))
        // A failed recording leaves the stream usable.
        try stream.fill(matrix, with: 3)
        #expect(try stream.download(matrix, as: Float.self) == [3])
    }

    @Test("allows disjoint windows of one table", arguments: TestDevice.all)
    func windows(_ target: TestDevice) throws {
        let stream = try target.device.makeStream()
        let table = try stream.allocate(rows: 6, columns: 8)
        try stream.fill(table, with: 1)
        let left = table.columns(0..<4)
        let right = table.columns(4..<8)
        try stream.copy(left, to: right)
        try stream.copy(table.rows(0..<3), to: table.rows(3..<6))
        try stream.gemm(table.rows(0..<4).columns(0..<4), left.rows(0..<4), into: right.rows(0..<4))
        try stream.scaleRows(
            table, by: table.rows(0..<1).columns(0..<6), into: try stream.allocate(rows: 6, columns: 8))
        let expected = (0..<48).map { Float($0 % 8 >= 4 && $0 < 32 ? 4 : 1) }
        #expect(try stream.download(table).storage.array == expected)
    }

    @Test("does nothing for empty outputs", arguments: TestDevice.all)
    func empty(_ target: TestDevice) throws {
        let stream = try target.device.makeStream()
        let none = try stream.allocate(rows: 0, columns: 5)
        let before = stream.counters.launches
        try stream.fill(none, with: 1)
        try stream.copy(none, to: try stream.allocate(rows: 0, columns: 5))
        try stream.gemm(none, try stream.allocate(rows: 5, columns: 2), into: try stream.allocate(rows: 0, columns: 2))
        #expect(stream.counters.launches == before)
        #expect(try stream.download(none).storage.count == 0)
    }
}
