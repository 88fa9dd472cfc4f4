import Core

/// How rows are divided into what is learned from and what is judged by.
public enum FoldKind: String, Codable, Sendable, CaseIterable {
    /// At random, every class (or quarter of a number's range) spread evenly.
    case stratified
    /// At random.
    case random
    /// Whole groups at a time: no group is both learned from and judged by.
    case grouped
    /// By time: each part is judged by a model of everything before it.
    case rolling
}

/// One division of rows.
public struct Fold: Sendable, Equatable {
    /// Rows to learn from, ascending.
    public let training: [Int]
    /// Rows to judge by, ascending.
    public let test: [Int]

    public init(training: [Int], test: [Int]) {
        self.training = training
        self.test = test
    }
}

/// Divides rows. All draws are Philox's, so that the same seed gives the same folds everywhere.
public enum Folds {
    private static let stream: UInt64 = 0x464F_4C44_53

    /// Divides into `count` folds; each row is judged by once (with ``FoldKind/rolling``, all but the earliest part).
    ///
    /// - Parameters:
    ///   - target: numbers, or indices of classes: what is spread evenly by ``FoldKind/stratified``.
    ///   - isClassification: whether `target` holds classes.
    ///   - groups: needed by ``FoldKind/grouped``; heeded by no other.
    ///   - times: needed by ``FoldKind/rolling``: seconds or any other ascending measure.
    /// - Throws: ``ParameterError`` when groups, times or rows are too few.
    public static func divide(
        _ kind: FoldKind, count: Int, target: [Double], isClassification: Bool, groups: [Int32]? = nil,
        times: [Double]? = nil, seed: UInt64
    ) throws -> [Fold] {
        let rows = target.count
        guard count >= 2 else { throw ParameterError("folds", "must be 2 or more, not \(count)") }
        guard rows >= count else {
            throw ParameterError("folds", "\(count) folds need as many rows; there are \(rows)")
        }
        if kind == .rolling { return try rolling(count: count, rows: rows, times: times) }
        let part: [Int]
        switch kind {
        case .grouped: part = try groupParts(count: count, groups: groups, rows: rows, seed: seed)
        case .stratified: part = stratifiedParts(count: count, target, isClassification: isClassification, seed: seed)
        default: part = randomParts(count: count, rows: rows, seed: seed)
        }
        return (0..<count).map { fold in
            Fold(training: (0..<rows).filter { part[$0] != fold }, test: (0..<rows).filter { part[$0] == fold })
        }
    }

    /// Divides once: `share` of the rows (of the groups, of the time) are held out.
    public static func holdOut(
        _ kind: FoldKind, share: Double, target: [Double], isClassification: Bool, groups: [Int32]? = nil,
        times: [Double]? = nil, seed: UInt64
    ) throws -> Fold {
        let rows = target.count
        guard share > 0, share < 1 else {
            throw ParameterError("test", "must be above 0 and below 1, not \(share)")
        }
        guard rows >= 2 else { throw DataError("there are \(rows) rows: too few to hold some out") }
        let heldOut: Set<Int>
        let random = Philox(seed: seed, stream: stream)
        switch kind {
        case .rolling:
            guard let times else { throw ParameterError("split", "by time needs a column of times") }
            let order = (0..<rows).sorted { times[$0] != times[$1] ? times[$0] < times[$1] : $0 < $1 }
            heldOut = Set(order.suffix(amount(share, of: rows)))
        case .grouped:
            guard let groups else { throw ParameterError("split", "by groups needs a column of groups") }
            let names = Array(Set(groups)).sorted()
            guard names.count >= 2 else { throw ParameterError("split", "there is only one group") }
            let chosen = Set(
                random.permutation(count: names.count).prefix(amount(share, of: names.count)).map { names[$0] })
            heldOut = Set((0..<rows).filter { chosen.contains(groups[$0]) })
        case .random:
            heldOut = Set(random.permutation(count: rows).prefix(amount(share, of: rows)))
        case .stratified:
            var chosen: Set<Int> = []
            for (number, stratum) in strata(target, isClassification: isClassification).enumerated() {
                let order = Philox(seed: seed, stream: stream + UInt64(number) + 1).permutation(count: stratum.count)
                // A class of one row stays to be learned from.
                let taken = stratum.count < 2 ? 0 : amount(share, of: stratum.count)
                for place in order.prefix(taken) { chosen.insert(stratum[place]) }
            }
            heldOut = chosen
        }
        return Fold(
            training: (0..<rows).filter { !heldOut.contains($0) }, test: (0..<rows).filter { heldOut.contains($0) })
    }

    /// The share of a number of things, at least one and not all.
    private static func amount(_ share: Double, of count: Int) -> Int {
        min(max(Int((share * Double(count)).rounded()), 1), count - 1)
    }

    private static func randomParts(count: Int, rows: Int, seed: UInt64) -> [Int] {
        var part = [Int](repeating: 0, count: rows)
        for (place, row) in Philox(seed: seed, stream: stream).permutation(count: rows).enumerated() {
            part[row] = place % count
        }
        return part
    }

    /// Rows of each class, or of each twentieth of a number's order.
    private static func strata(_ target: [Double], isClassification: Bool) -> [[Int]] {
        guard !isClassification else {
            var byClass: [Double: [Int]] = [:]
            for row in target.indices { byClass[target[row], default: []].append(row) }
            return byClass.sorted { $0.key < $1.key }.map(\.value)
        }
        let order = target.indices.sorted { target[$0] != target[$1] ? target[$0] < target[$1] : $0 < $1 }
        let parts = min(20, max(order.count / 10, 1))
        return (0..<parts).map { part in
            order[part * order.count / parts..<(part + 1) * order.count / parts].sorted()
        }
    }

    private static func stratifiedParts(
        count: Int, _ target: [Double], isClassification: Bool, seed: UInt64
    ) -> [Int] {
        var part = [Int](repeating: 0, count: target.count)
        // Strata go on where the one before ended, so that the folds are of equal size, too.
        var next = 0
        for (number, stratum) in strata(target, isClassification: isClassification).enumerated() {
            for place in Philox(seed: seed, stream: stream + UInt64(number) + 1).permutation(count: stratum.count) {
                part[stratum[place]] = next % count
                next += 1
            }
        }
        return part
    }

    /// The largest groups first, each to the fold with the fewest rows.
    private static func groupParts(count: Int, groups: [Int32]?, rows: Int, seed: UInt64) throws -> [Int] {
        guard let groups else { throw ParameterError("folds", "grouped folds need a column of groups") }
        var members: [Int32: [Int]] = [:]
        for row in 0..<rows { members[groups[row], default: []].append(row) }
        guard members.count >= count else {
            throw ParameterError("folds", "\(count) folds need as many groups; there are \(members.count)")
        }
        let names = members.keys.sorted()
        let shuffled = Philox(seed: seed, stream: stream).permutation(count: names.count).map { names[$0] }
        let order = shuffled.enumerated().sorted { left, right in
            let (a, b) = (members[left.element]?.count ?? 0, members[right.element]?.count ?? 0)
            return a != b ? a > b : left.offset < right.offset
        }
        var (part, sizes) = ([Int](repeating: 0, count: rows), [Int](repeating: 0, count: count))
        for (_, name) in order {
            let fold = sizes.indices.min { sizes[$0] < sizes[$1] } ?? 0
            for row in members[name] ?? [] { part[row] = fold }
            sizes[fold] += members[name]?.count ?? 0
        }
        return part
    }

    /// `count + 1` parts by time, of equal size but for ties, which stay together; all but the first are judged.
    private static func rolling(count: Int, rows: Int, times: [Double]?) throws -> [Fold] {
        guard let times else { throw ParameterError("folds", "folds by time need a column of times") }
        let order = (0..<rows).sorted { times[$0] != times[$1] ? times[$0] < times[$1] : $0 < $1 }
        var cuts: [Int] = []
        for part in 1...count {
            var cut = part * rows / (count + 1)
            while cut > 0, cut < rows, times[order[cut]] == times[order[cut - 1]] { cut += 1 }
            cuts.append(cut)
        }
        cuts.append(rows)
        return try (0..<count).map { fold in
            guard cuts[fold] > 0, cuts[fold] < cuts[fold + 1] else {
                throw ParameterError("folds", "there are too few distinct times for \(count) folds")
            }
            return Fold(training: order[..<cuts[fold]].sorted(), test: order[cuts[fold]..<cuts[fold + 1]].sorted())
        }
    }
}
