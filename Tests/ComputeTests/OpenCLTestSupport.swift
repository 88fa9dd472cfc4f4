import Compute
import ComputeOpenCL
import Core
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Host algebra that no test here needs.
struct NoDenseSolver: DenseSolver {
    private func refuse() -> ComputeError { .numerical(operation: "test", reason: "there is no host algebra here") }
    func symmetricEigen(_ matrix: [Double], n: Int) throws(ComputeError) -> (values: [Double], vectors: [Double]) {
        throw refuse()
    }
    func cholesky(_ matrix: [Double], n: Int) throws(ComputeError) -> [Double] { throw refuse() }
    func solvePositiveDefinite(
        _ matrix: [Double], n: Int, rhs: [Double], columns: Int
    ) throws(ComputeError) -> [Double] { throw refuse() }
    func qr(_ matrix: [Double], rows: Int, columns: Int) throws(ComputeError) -> (q: [Double], r: [Double]) {
        throw refuse()
    }
    func singularValues(
        _ matrix: [Double], rows: Int, columns: Int
    ) throws(ComputeError) -> (u: [Double], values: [Double], vTransposed: [Double]) { throw refuse() }
}

enum OpenCLTestSupport {
    /// The first CPU-class device: PoCL, where tests run.
    static func description() throws -> OpenCLDeviceDescription {
        try #require(
            OpenCLDevice.discover().first { $0.identity.deviceClass == .cpu && $0.unusableReason == nil },
            "no CPU-class OpenCL device: install pocl-opencl-icd")
    }

    static func open(_ options: OpenCLDeviceOptions = OpenCLDeviceOptions()) throws -> OpenCLDevice {
        try OpenCLDevice(description: description(), options: options, denseSolver: NoDenseSolver())
    }

    /// Numbers in -1 ..< 1 that depend on the seed alone.
    static func random(_ rows: Int, _ columns: Int, seed: UInt64) -> HostMatrix {
        let philox = Philox(seed: seed, stream: 7)
        return HostMatrix(
            rows: rows, columns: columns,
            elements: (0..<rows * columns).map { 2 * philox.uniform(UInt64($0)) - 1 })
    }

    /// A sparse matrix with about `perRow` entries in a row; every fifth row is empty, values in 0 ..< 2.
    static func randomSparse(_ rows: Int, _ columns: Int, perRow: Int, seed: UInt64) -> HostSparseMatrix {
        let philox = Philox(seed: seed, stream: 8)
        var entries: [(row: Int, column: Int, value: Float)] = []
        var number: UInt64 = 0
        for row in 0..<rows where row % 5 != 4 {
            var used = Set<Int>()
            for _ in 0..<perRow {
                let column = philox.integer(number, below: columns)
                number += 1
                if used.insert(column).inserted {
                    entries.append((row, column, 2 * philox.uniform(1_000_000 + number)))
                }
            }
        }
        return HostSparseMatrix(rows: rows, columns: columns, entries: entries)
    }

    /// A matrix with gaps: `pad` elements before it, and between its rows, all NaN.
    static func padded(_ stream: Stream, _ matrix: HostMatrix, pad: Int) throws -> Matrix {
        let stride = matrix.columns + pad
        let whole = try stream.allocate(rows: 1, columns: pad + max(matrix.rows, 1) * stride)
        try stream.fill(whole, with: .nan)
        let view = try Matrix(
            storage: whole.storage, elementType: .float32, offset: pad, rows: matrix.rows, columns: matrix.columns,
            rowStride: stride)
        try stream.upload(matrix.storage.array, to: view)
        return view
    }

    /// Largest deviation from a reference, NaN counting as infinite.
    static func deviation(_ found: HostMatrix, _ expected: [Double]) -> Double {
        var largest = 0.0
        for index in 0..<expected.count {
            let difference = abs(Double(found.storage[index]) - expected[index])
            largest = max(largest, difference.isNaN ? .infinity : difference)
        }
        return largest
    }
}
