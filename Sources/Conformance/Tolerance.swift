/// How far a device may be from the oracle.
///
/// Every tolerance is a multiple of the unit roundoff of float32, times the sum of the magnitudes of the terms that
/// were added (|A|·|B| for a product), the quantity by which the rounding errors of a sum really scale. With
/// independent roundings the error of a sum of k terms grows with √k, whatever the order of the additions; the factor
/// in front leaves room for the extremes among millions of elements. docs/CONFORMANCE.md lists the tolerances.
public enum Tolerance {
    /// The unit roundoff of float32, 2⁻²⁴.
    public static let unit = 0x1p-24

    /// Terms that a `gram` may add up in float32 before it turns to wider precision.
    public static let gramChunk = 4096

    /// Terms that `columnSums` may add up in float32 before it turns to wider precision.
    public static let columnSumChunk = 256

    /// For a sum of `length` products in float32, in any order: (4 + 2√length) · 2⁻²⁴.
    public static func sum(_ length: Int) -> Double {
        (4 + 2 * Double(length).squareRoot()) * unit
    }

    /// What an activation may add of its own: four units of the last place of float32 for values of 1.
    public static let activation = 8 * unit

    /// For the solution of a d × d system assembled from `entries` outer products, relative to the norm of the
    /// solution: the condition number times the backward errors of assembly and factorization.
    public static func solve(dimension: Int, entries: Int, condition: Double) -> Double {
        condition * (4 + 2 * Double(entries).squareRoot() + 2 * Double(dimension).squareRoot()) * unit
    }

    /// What exact solutions of well-conditioned systems must reach, whatever the formula would allow.
    public static let exactSolution = 1e-4
}
