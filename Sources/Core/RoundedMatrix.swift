import CVectorLoops

/// The rows of a matrix rounded to 8 bits, with bounds of what rounding hides.
///
/// A row is `scale · (code − 128)` plus a remainder. By the Cauchy–Schwarz inequality its product with a vector q differs from
/// that of its code by no more than ‖q‖ · residual, so that codes, a quarter of the memory, can rule out what a search need
/// not look at.
public struct RoundedMatrix: Sendable {
    /// Number of rows and columns of the matrix.
    public let rows: Int, columns: Int
    /// rows × ``bytesPerRow``, padded with 128.
    public let codes: HostBuffer<UInt8>
    /// Scales, bounds of the remainders' norms, and bounds of the rows' norms: three times `rows`.
    public let facts: HostBuffer<Float>

    /// Bytes of a row of codes: a multiple of 64.
    public static func bytesPerRow(columns: Int) -> Int { Int(apus_rounded_bytes(Int64(columns))) }
    /// Bytes of a row of codes: a multiple of 64.
    public var bytesPerRow: Int { Self.bytesPerRow(columns: columns) }

    package var scales: UnsafeMutablePointer<Float> { facts.baseAddress }
    package var residuals: UnsafeMutablePointer<Float> { facts.baseAddress + rows }
    package var norms: UnsafeMutablePointer<Float> { facts.baseAddress + 2 * rows }

    /// Rounds a matrix. O(rows · columns).
    public init(_ matrix: HostMatrix) {
        (rows, columns) = (matrix.rows, matrix.columns)
        codes = HostBuffer(uninitializedCount: rows * Self.bytesPerRow(columns: columns))
        facts = HostBuffer(uninitializedCount: 3 * rows)
        apus_round_rows(
            matrix.storage.baseAddress, Int64(columns), Int64(rows), Int64(columns), codes.baseAddress,
            facts.baseAddress, facts.baseAddress + rows, facts.baseAddress + 2 * rows)
    }

    /// Codes that were made before. Throws ``DataError`` if their number does not fit.
    public init(rows: Int, columns: Int, codes: HostBuffer<UInt8>, facts: HostBuffer<Float>) throws {
        guard codes.count == rows * Self.bytesPerRow(columns: columns), facts.count == 3 * rows else {
            throw DataError("\(codes.count) bytes are not the codes of \(rows) × \(columns) elements")
        }
        (self.rows, self.columns, self.codes, self.facts) = (rows, columns, codes, facts)
    }
}

/// Candidates of a search, rounded, and how far they are trusted.
public struct RoundedCandidates: Sendable {
    /// The candidates, rounded.
    public let matrix: RoundedMatrix
    /// How much of the bound of rounding's error is allowed for, from 0 to 1. With 1 what is found is exact; with less some
    /// of the best may be missed.
    public let errorShare: Float

    public init(_ matrix: RoundedMatrix, errorShare: Float = 1) {
        (self.matrix, self.errorShare) = (matrix, errorShare)
    }
}
