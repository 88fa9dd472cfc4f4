import Compute
import Core
import Learners
import Testing

/// What a half-step solves, against a dense solution in double precision.
@Suite struct HalfStepTests {
    private static let d = 16

    private func options(_ feedback: Feedback, exponent: Float) -> FactorizationOptions {
        var options = FactorizationOptions()
        options.feedback = feedback
        options.factors = Self.d
        options.iterations = 1
        options.solver = .exact
        options.regularization = feedback == .implicit ? 0.003 : 0.1
        options.regularizationExponent = exponent
        options.unobservedWeight = 0.1
        options.confidence = .linear
        options.biasRegularization = 0.5
        return options
    }

    private func start(
        _ options: FactorizationOptions, users: Int, items: Int, mean: Float = 0
    ) -> FactorizationFactors {
        let columns = options.feedback == .explicit ? Self.d + 1 : Self.d
        return FactorizationFactors(
            users: randomTable(users, columns, scale: 0.1, seed: 1),
            items: randomTable(items, columns, scale: 0.3, seed: 2), mean: mean, options: options)
    }

    /// Rows without entries, below, at and above d, and far above it, in one iteration of the trainer.
    @Test(
        arguments: TestDevices.names, [(Feedback.implicit, Float(0)), (.implicit, 1), (.explicit, 0), (.explicit, 1)])
    func bothHalfStepsAreExact(device: String, kind: (feedback: Feedback, exponent: Float)) throws {
        let options = options(kind.feedback, exponent: kind.exponent)
        let byUser = randomInteractions(rows: 60, columns: 90, lengths: [5, 0, 15, 16, 17, 40, 88, 1])
        let byItem = byUser.transposed()
        let mean = byUser.values.elements.reduce(0.0) { $0 + Double($1) } / Double(byUser.entryCount)
        let reference = DenseReference(options: options, mean: options.feedback == .explicit ? Double(Float(mean)) : 0)
        let initial = start(options, users: 60, items: 90)
        let trainer = try FactorizationTrainer(
            data: try FactorizationData(byUser: byUser, byItem: byItem, options: options), options: options,
            stream: try TestDevices.stream(device), initial: initial)
        _ = try trainer.iterate()
        let result = try trainer.factors()
        let users = reference.halfStep(
            byUser, fixed: initial.items.rowsOfDoubles, otherSideCount: 90)
        // The tables are rotated on the way: what does not change by that are the inner products.
        #expect(
            relativeDifference(products(result.users.rowsOfDoubles), products(users)) < 1e-4, "users, inner products")
        if options.feedback == .explicit {
            #expect(relativeDifference(result.users.rowsOfDoubles, users) < 1e-4, "users")
        }
        let occupied = (0..<60).count { !byUser.range(ofRow: $0).isEmpty }
        let items = reference.halfStep(byItem, fixed: result.users.rowsOfDoubles, otherSideCount: occupied)
        for item in 0..<90 {
            #expect(
                relativeDifference([result.items.rowsOfDoubles[item]], [items[item]]) < 1e-4,
                "item \(item) with \(byItem.range(ofRow: item).count) entries")
        }
    }

    /// Fold-in is a half-step whose result comes back in the basis of the fixed table, row by row.
    @Test(
        arguments: TestDevices.names, [(Feedback.implicit, Float(0)), (.implicit, 1), (.explicit, 0), (.explicit, 1)])
    func foldInIsExact(device: String, kind: (feedback: Feedback, exponent: Float)) throws {
        let options = options(kind.feedback, exponent: kind.exponent)
        let model = start(options, users: 10, items: 90, mean: options.feedback == .explicit ? 3.25 : 0)
        let rows = randomInteractions(rows: 48, columns: 90, lengths: [1, 8, 15, 16, 17, 18, 50, 90], seed: 9)
        let solved = try FoldIn(
            fixed: model.items, factors: model, occupiedFixedRows: 90, stream: try TestDevices.stream(device)
        ).solve(rows)
        let reference = DenseReference(options: options, mean: Double(model.mean))
        let expected = reference.halfStep(rows, fixed: model.items.rowsOfDoubles, otherSideCount: 90)
        for row in 0..<48 {
            #expect(
                relativeDifference([solved.rowsOfDoubles[row]], [expected[row]]) < 1e-4,
                "row \(row) with \(rows.range(ofRow: row).count) entries")
        }
    }

    private func products(_ table: [[Double]]) -> [[Double]] {
        table.map { a in table.map { b in zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } } }
    }
}
