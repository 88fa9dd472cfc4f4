import Core

/// How interactions are divided into what a model learns from and what it is judged by.
public enum SplitKind: String, Codable, Sendable, CaseIterable {
    /// The latest interactions of all are to be found from the earlier ones: what a model meets in use.
    case time
    /// Interactions drawn at random.
    case random
    /// Some users are held out entirely; most of their history is folded in, the rest is to be found.
    case users
    /// Each user's latest interaction. Leaks the future: other users' later interactions are learnt from.
    case leaveLastOut = "leave-last-out"
    /// Everything is learnt from, nothing is judged.
    case none
}

/// The parameters of a split.
public struct SplitOptions: Codable, Sendable, Equatable {
    public var kind: SplitKind
    /// Decides every draw, by ``Core/Philox`` streams 0x53504C49 … (see ``SplitStream``).
    public var seed: UInt64
    /// What is to be found: for ``SplitKind/time`` and ``SplitKind/random`` the share of all interactions, for
    /// ``SplitKind/users`` the share of each held-out user's history. Above 0, below 1.
    public var testFraction: Double
    /// For ``SplitKind/users``: the share of eligible users that is held out. Above 0, below 1.
    public var heldOutUserFraction: Double
    /// For ``SplitKind/users``: at most this many users are held out.
    public var maximumHeldOutUsers: Int
    /// For ``SplitKind/users``: users with fewer interactions are not held out.
    public var minimumPerHeldOutUser: Int
    /// Whether a second set of the same kind and size is taken out of the training data for choosing parameters and
    /// early stopping.
    public var validation: Bool

    public init(
        kind: SplitKind, seed: UInt64 = 0, testFraction: Double = 0.2, heldOutUserFraction: Double = 0.1,
        maximumHeldOutUsers: Int = 10_000, minimumPerHeldOutUser: Int = 5, validation: Bool = false
    ) {
        self.kind = kind
        self.seed = seed
        self.testFraction = testFraction
        self.heldOutUserFraction = heldOutUserFraction
        self.maximumHeldOutUsers = maximumHeldOutUsers
        self.minimumPerHeldOutUser = minimumPerHeldOutUser
        self.validation = validation
    }

    func validate() throws {
        guard testFraction > 0, testFraction < 1 else {
            throw ParameterError("testFraction", "must be above 0 and below 1, not \(testFraction)")
        }
        guard heldOutUserFraction > 0, heldOutUserFraction < 1 else {
            throw ParameterError("heldOutUserFraction", "must be above 0 and below 1, not \(heldOutUserFraction)")
        }
        guard maximumHeldOutUsers >= 1 else { throw ParameterError("maximumHeldOutUsers", "must be 1 or more") }
        guard minimumPerHeldOutUser >= 2 else { throw ParameterError("minimumPerHeldOutUser", "must be 2 or more") }
    }
}

/// The Philox streams of the splits. Each draw is a pure function of seed, stream and the index named here, so that a
/// split is the same for every number of threads.
public enum SplitStream {
    /// Which entries are tested in a random split: one uniform for each entry of `byUser`, by its position.
    public static let entries: UInt64 = 0x5350_4C49_0000_0001
    /// The permutation of eligible users, of which the first are held out.
    public static let users: UInt64 = 0x5350_4C49_0000_0002
    /// The order of a held-out user's history: one 64-bit integer for each entry of `byUser`, by its position; the
    /// smallest are to be found.
    public static let histories: UInt64 = 0x5350_4C49_0000_0003
    /// Folds: one 64-bit integer for each entry, by its position.
    public static let folds: UInt64 = 0x5350_4C49_0000_0004
}

/// Users to be judged: what is known of them, and what is to be found.
public struct EvaluationSet: Sendable {
    /// Rows of the whole, ascending.
    public let users: [Int32]
    /// `users.count` × items: histories to fold in; nil when the users' training rows are their history.
    public let foldIn: HostSparseMatrix?
    /// `users.count` × items: what is to be found; only items that occur in training.
    public let test: HostSparseMatrix
    /// Interactions left out of `foldIn` and `test` because their item does not occur in training.
    public let unseenItemEntries: Int
    /// Users with something to find who were left out: they have no history, or nothing to find among known items.
    public let usersDropped: Int
}

/// Interactions divided for training and evaluation.
public struct InteractionSplit: Sendable {
    /// What is learnt from, in the numbering of the whole; rows of held-out users are empty.
    public let trainingByUser: HostSparseMatrix
    /// Its transpose; empty once ``takeTrainingByItem()`` was called.
    public private(set) var trainingByItem: HostSparseMatrix
    /// users × items: all that is not learnt from, also what no set could use; empty rows for the others.
    public let heldOut: HostSparseMatrix
    /// The set that judges the finished model.
    public let testSet: EvaluationSet
    /// The set for choosing parameters and early stopping, if one was asked for.
    public let validationSet: EvaluationSet?
    /// What the reader of the metrics must know.
    public let warning: String?
    /// For ``SplitKind/time``: interactions after this time are to be found.
    public let cutTime: Int64?

    /// Rows to be judged.
    public var evaluationUsers: [Int32] { testSet.users }
    /// Histories to fold in; nil when the training rows are the history.
    public var foldIn: HostSparseMatrix? { testSet.foldIn }
    /// What is to be found.
    public var test: HostSparseMatrix { testSet.test }

    /// Hands over ``trainingByItem`` and keeps none of it, so that its new owner can let it go.
    public mutating func takeTrainingByItem() -> HostSparseMatrix {
        defer {
            trainingByItem = HostSparseMatrix(rows: trainingByItem.rows, columns: trainingByItem.columns, entries: [])
        }
        return trainingByItem
    }
}

/// A file read and divided; the whole isn't kept.
public struct DividedInteractions: Sendable {
    /// Names of the users of the whole; rows of the split's matrices.
    public let users: IdentifierIndex
    /// Names of the items.
    public let items: IdentifierIndex
    /// The parts.
    public let split: InteractionSplit
    /// What happened while reading.
    public let report: ReadReport
    /// Identifies the whole and the way it was read.
    public let fingerprint: DataFingerprint

    public init(
        users: IdentifierIndex, items: IdentifierIndex, split: InteractionSplit, report: ReadReport,
        fingerprint: DataFingerprint
    ) {
        self.users = users
        self.items = items
        self.split = split
        self.report = report
        self.fingerprint = fingerprint
    }
}

extension InteractionReader {
    /// Reads a file and divides it at once: the same parts as `read(…).split(…)`, without the memory of the whole
    /// beside them. Times are read when the split needs them, and let go.
    public static func read(
        _ path: String, options: InteractionOptions = InteractionOptions(), split: SplitOptions,
        progress: ProgressHandler? = nil
    ) throws -> DividedInteractions {
        var options = options
        if split.kind == .time || split.kind == .leaveLastOut { options.needsTimes = true }
        try split.validate()
        var data: Interactions? = try read(path, options: options, progress: progress)
        let (users, items, report, fingerprint) = (data!.users, data!.items, data!.report, data!.fingerprint)
        let parts = try InteractionSplit.dividing(&data, by: split)
        return DividedInteractions(users: users, items: items, split: parts, report: report, fingerprint: fingerprint)
    }
}

extension Interactions {
    /// Divides the interactions.
    ///
    /// - `time`: the cut is the time at the quantile 1 − `testFraction` of all interactions; everything after it is to
    ///   be found, everything at it or before is learnt from, so that equal times are never divided. With a validation
    ///   set, the quantile 1 − 2·`testFraction` likewise cuts off what lies before the test.
    /// - `random`: each entry is to be found with probability `testFraction`.
    /// - `users`: of the users with at least `minimumPerHeldOutUser` interactions, ⌊`heldOutUserFraction` · their
    ///   number⌋, at most `maximumHeldOutUsers` and at least one, are held out; of the part of a held-out history whose
    ///   items occur in training, ⌊`testFraction` · n⌋ entries are to be found and the rest is folded in; users for
    ///   whom that is none are dropped. Source: Liang, Krishnan, Hoffman and Jebara, "Variational autoencoders for
    ///   collaborative filtering", WWW 2018.
    /// - `leaveLastOut`: the latest entry of each user with at least two (three with a validation set) is to be found;
    ///   among equal times the one with the highest item number.
    ///
    /// O(entries), plus a sort of the held-out histories.
    ///
    /// - Throws: ``Core/ParameterError`` for fractions out of range, ``Core/DataError`` when times are needed and not
    ///   there, or nothing is left to learn or to find.
    public func split(_ options: SplitOptions) throws -> InteractionSplit {
        var data: Interactions? = self
        return try InteractionSplit.dividing(&data, by: options).withTimes(of: self)
    }

    /// Where every entry of `byUser` goes, what the reader must know, and the cut of a split by time.
    func parts(_ options: SplitOptions) throws -> (parts: [SplitPart], warning: String?, cutTime: Int64?) {
        switch options.kind {
        case .random: (partsAtRandom(options), nil, nil)
        case .time: try partsByTime(options)
        case .leaveLastOut: try partsLastOut(options)
        case .users, .none: ([SplitPart](repeating: .training, count: count), nil, nil)
        }
    }

    private func partsAtRandom(_ options: SplitOptions) -> [SplitPart] {
        let draw = Philox(seed: options.seed, stream: SplitStream.entries)
        let test = options.testFraction
        let validation = options.validation ? min(1, 2 * test) : test
        return (0..<count).map { entry in
            let uniform = draw.uniform64(UInt64(entry))
            return uniform < test ? .test : uniform < validation ? .validation : .training
        }
    }

    private func requireTimes(_ kind: SplitKind) throws -> HostBuffer<Int64> {
        guard let times else {
            throw DataError(
                report.hasTimeColumn
                    ? "a \(kind.rawValue) split needs the times, which were not kept while reading"
                    : "a \(kind.rawValue) split needs a time column, and there is none")
        }
        return times
    }

    private func partsByTime(_ options: SplitOptions) throws -> ([SplitPart], String?, Int64?) {
        let times = try requireTimes(.time)
        guard options.testFraction * (options.validation ? 2 : 1) < 1 else {
            throw ParameterError("testFraction", "must be below 0.5 with a validation set")
        }
        func cut(_ fraction: Double) -> Int64 {
            let rank = Int((Double(count) * (1 - fraction)).rounded(.up)) - 1
            return Quantile.element(at: min(max(rank, 0), count - 1), of: times)
        }
        let testCut = cut(options.testFraction)
        let validationCut = options.validation ? cut(2 * options.testFraction) : testCut
        let parts = (0..<count).map { entry -> SplitPart in
            let time = times[entry]
            return time > testCut ? .test : time > validationCut ? .validation : .training
        }
        return (parts, nil, testCut)
    }

    private func partsLastOut(_ options: SplitOptions) throws -> ([SplitPart], String?, Int64?) {
        let times = try requireTimes(.leaveLastOut)
        var part = [SplitPart](repeating: .training, count: count)
        for user in 0..<byUser.rows {
            let range = byUser.range(ofRow: user)
            guard range.count >= (options.validation ? 3 : 2) else { continue }
            // Items ascend within a row, so `>=` prefers the highest among equal times.
            var last = range.lowerBound
            for entry in range where times[entry] >= times[last] { last = entry }
            part[last] = .test
            guard options.validation else { continue }
            var second = -1
            for entry in range where entry != last && (second < 0 || times[entry] >= times[second]) { second = entry }
            part[second] = .validation
        }
        let warning =
            "leave-last-out learns from what other users did after the interaction to be found; figures are too good. Split by time to know what to expect in use."
        return (part, warning, nil)
    }
}

/// Where an entry goes.
enum SplitPart: UInt8 {
    case training, validation, test
}

/// The k-th smallest of many times.
enum Quantile {
    /// Element number `rank` (from 0) in ascending order, by counting 16 bits at a time from the top: four passes at
    /// most, without copying. O(count).
    static func element(at rank: Int, of times: HostBuffer<Int64>) -> Int64 {
        var rank = rank
        var prefix: UInt64 = 0
        for shift in stride(from: 48, through: 0, by: -16) {
            var counts = [Int](repeating: 0, count: 1 << 16)
            for index in 0..<times.count {
                let key = UInt64(bitPattern: times[index]) ^ (1 << 63)
                guard shift == 48 || key >> UInt64(shift + 16) == prefix else { continue }
                counts[Int(key >> UInt64(shift) & 0xFFFF)] += 1
            }
            var digit = 0
            while rank >= counts[digit] {
                rank -= counts[digit]
                digit += 1
            }
            prefix = prefix << 16 | UInt64(digit)
        }
        return Int64(bitPattern: prefix ^ (1 << 63))
    }
}
