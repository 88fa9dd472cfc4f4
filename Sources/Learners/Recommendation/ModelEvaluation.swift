import Compute
import Core
import Tables

/// Evaluation of a saved model on a file.
public enum ModelEvaluation {
    /// Figures, and on what they rest.
    public struct Outcome: Sendable {
        public let result: RecommenderEvaluator.Result
        /// What was scored, in words: the held-out part of the training file, or another file.
        public let scored: String
        /// What the reader must know; nil if nothing.
        public let warning: String?
    }

    /// Evaluates a model on interactions.
    ///
    /// On the file that it was trained from (recognised by its fingerprint), only the part that was held out is scored.
    /// On any other file, 80 % of each user's items that the model knows are folded in and the rest is to be found.
    ///
    /// - Throws: ``DataError`` when nothing can be scored.
    public static func evaluate(
        _ model: RecommenderModel, on interactions: Interactions, cutoffs: [Int], stream: Stream
    ) throws -> Outcome {
        if interactions.fingerprint == model.provenance.fingerprint, let options = model.provenance.split,
            !model.provenance.refitted, model.items.count >= interactions.items.count,
            model.users.count == interactions.users.count
        {
            let split = try interactions.split(options)
            let result = try RecommenderEvaluator(split: split, items: model.items.count, stream: stream).evaluate(
                model.learned,
                on: .init(split.testSet, training: split.trainingByUser, items: model.items.count), cutoffs: cutoffs)
            return Outcome(
                result: result, scored: "the held-out part of the training file (split \(options.kind.rawValue))",
                warning: split.warning)
        }
        let known = try remapped(interactions.timedByUser, items: interactions.items, to: model.items)
        let heldOut = divided(known, testFraction: 0.2, minimum: 5, seed: 42)
        guard heldOut.truth.entryCount > 0 else {
            throw DataError("no user of the file has 5 items that the model knows: there is nothing to score")
        }
        let sameFile = interactions.fingerprint == model.provenance.fingerprint
        return try outcome(
            model, heldOut, cutoffs: cutoffs, stream: stream,
            scored: "another file: 80 % of each user's items folded in, the rest to be found",
            warning: sameFile
                ? "the model was trained on all of this file: the figures are those of training data, and too good"
                : nil)
    }

    /// Evaluates a model on a split made elsewhere.
    ///
    /// - Parameters:
    ///   - foldIn: what is known of the users.
    ///   - test: what is to be found; users that are not in `foldIn` are left out.
    public static func evaluate(
        _ model: RecommenderModel, foldIn: Interactions, test: Interactions, cutoffs: [Int], stream: Stream
    ) throws -> Outcome {
        let knownRows = try remapped(foldIn.timedByUser, items: foldIn.items, to: model.items)
        let truthRows = try remapped(test.byUser, items: test.items, to: model.items)
        var (known, truth): ([Int32], [Int32]) = ([], [])
        for user in 0..<test.users.count {
            guard let row = foldIn.users.index(of: test.users.utf8(user)) else { continue }
            known.append(Int32(row))
            truth.append(Int32(user))
        }
        guard !known.isEmpty else { throw DataError("no user of the test file is in the fold-in file") }
        return try outcome(
            model, .init(known: knownRows.selectingRows(known), truth: truthRows.selectingRows(truth)),
            cutoffs: cutoffs, stream: stream, scored: "the given fold-in and test files", warning: nil)
    }

    private static func outcome(
        _ model: RecommenderModel, _ heldOut: RecommenderEvaluator.HeldOut, cutoffs: [Int], stream: Stream,
        scored: String, warning: String?
    ) throws -> Outcome {
        let evaluator = RecommenderEvaluator(
            itemCounts: model.itemCounts, userDegrees: (0..<model.seen.rows).map { model.seen.range(ofRow: $0).count },
            histories: model.seen, stream: stream)
        return Outcome(
            result: try evaluator.evaluate(model.learned, on: heldOut, cutoffs: cutoffs), scored: scored,
            warning: warning)
    }

    /// The matrix with its columns renumbered to other items; entries of items that are not among them are dropped.
    static func remapped(
        _ matrix: HostSparseMatrix, items: IdentifierIndex, to newItems: IdentifierIndex
    ) throws -> HostSparseMatrix {
        let target = (0..<items.count).map { newItems.index(of: items.utf8($0)) }
        guard target.contains(where: { $0 != nil }) else {
            throw DataError("none of the items of the file are known to the model")
        }
        var entries: [(row: Int, column: Int, value: Float)] = []
        var times: [(row: Int, column: Int, time: Int64)] = []
        for row in 0..<matrix.rows {
            for entry in matrix.range(ofRow: row) {
                guard let column = target[Int(matrix.columnIndices[entry])] else { continue }
                entries.append((row, column, matrix.values[entry]))
                if let known = matrix.times { times.append((row, column, known[entry])) }
            }
        }
        var result = HostSparseMatrix(rows: matrix.rows, columns: newItems.count, entries: entries)
        if matrix.times != nil {
            // Items have different names, so that no two entries fell together.
            result.times = HostBuffer(times.sorted { ($0.row, $0.column) < ($1.row, $1.column) }.map(\.time))
        }
        return result
    }

    /// Of every row with at least `minimum` entries, ⌊testFraction · n⌋ drawn by Philox are to be found; other rows
    /// are left out.
    static func divided(
        _ matrix: HostSparseMatrix, testFraction: Double, minimum: Int, seed: UInt64
    ) -> RecommenderEvaluator.HeldOut {
        let random = Philox(seed: seed, stream: 0x4556_414C)
        var (known, truth): ([(row: Int, column: Int, value: Float)], [(row: Int, column: Int, value: Float)]) = (
            [], []
        )
        var people: [Int32] = []
        for row in 0..<matrix.rows {
            let range = matrix.range(ofRow: row)
            let count = Int(testFraction * Double(range.count))
            guard range.count >= minimum, count > 0 else { continue }
            let drawn = Set(
                range.sorted { random.integer64(UInt64($0)) < random.integer64(UInt64($1)) }.prefix(count))
            for entry in range {
                let triple = (row: people.count, column: Int(matrix.columnIndices[entry]), value: matrix.values[entry])
                if drawn.contains(entry) { truth.append(triple) } else { known.append(triple) }
            }
            people.append(Int32(row))
        }
        var knownRows = HostSparseMatrix(rows: people.count, columns: matrix.columns, entries: known)
        knownRows.times = matrix.times.map { matrix.picking($0, at: knownRows, rows: people) }
        return .init(
            known: knownRows,
            truth: HostSparseMatrix(rows: people.count, columns: matrix.columns, entries: truth))
    }
}
