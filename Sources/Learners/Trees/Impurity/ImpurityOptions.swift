import Core

/// What a split makes small.
public enum TreeCriterion: String, Codable, Sendable, CaseIterable {
    /// Gini impurity, Σ p(1 − p) over the classes.
    case gini
    /// Entropy in bits, −Σ p log₂ p.
    case entropy
    /// Variance of a number.
    case variance
}

/// Where thresholds are sought.
public enum TreeSplits: String, Codable, Sendable, CaseIterable {
    /// Between any two neighbouring values of the node's rows.
    case exact
    /// Between bins of the whole table: faster on many rows.
    case histogram
}

/// How a single tree grows; forests share the fields.
struct ImpurityOptions {
    var criterion: TreeCriterion?
    /// Splits from the root to a leaf at most; 0 for no limit.
    var maximumDepth = 0
    /// Leaves at most, the most useful splits first; 0 for no limit.
    var leaves = 0
    /// Weight of the rows of a leaf at least.
    var minimumLeafWeight = 1.0
    /// Columns that a split chooses among, drawn anew at every node; nil for all.
    var columnsPerSplit: Int?

    func validate() throws {
        guard maximumDepth >= 0 else { throw ParameterError("maximumDepth", "must not be negative; 0 means no limit") }
        guard leaves == 0 || leaves >= 2 else { throw ParameterError("leaves", "must be 2 or more; 0 means no limit") }
        guard minimumLeafWeight >= 0, minimumLeafWeight.isFinite else {
            throw ParameterError("minimumLeafRows", "must not be negative")
        }
        if let columnsPerSplit, columnsPerSplit < 1 {
            throw ParameterError("columnsPerSplit", "must be 1 or more")
        }
    }

    /// Whether entropy is meant. Throws ``ParameterError`` for a criterion that doesn't go with the target.
    func usesEntropy(classes: Int) throws -> Bool {
        guard let criterion else { return false }
        guard (criterion == .variance) == (classes == 0) else {
            throw ParameterError(
                "criterion",
                "`\(criterion.rawValue)` is for \(classes == 0 ? "classes" : "numbers"); use "
                    + (classes == 0 ? "variance" : "gini or entropy"))
        }
        return criterion == .entropy
    }
}

/// Random integers one after another, four to a block of the generator.
struct RandomSequence {
    private let random: Philox
    private var index: UInt64 = 0
    private var block = SIMD4<UInt32>()

    init(_ random: Philox) { self.random = random }

    /// An integer in 0 ..< bound; bound below 2³².
    mutating func next(below bound: Int) -> Int {
        if index & 3 == 0 { block = random.block(index >> 2) }
        let value = block[Int(index & 3)]
        index += 1
        return Int((UInt64(value) * UInt64(bound)) >> 32)
    }

    /// A number in [0, 1).
    mutating func uniform() -> Double { Double(next(below: 1 << 31)) * 0x1p-31 }
}
