import Core

/// The cost model by which `--solver auto` chooses.
///
/// Floating-point operations of one iteration, each divided by the share of the machine's peak that the solver's inner
/// loop reaches, and what an entry costs on either side besides them, in operations too (both measured; see
/// docs/PERFORMANCE.md): with few factors that is most of the time. An iteration counts as one, whichever solver does it:
/// started from the solutions of the iteration before, all three come to the same loss in nearly the same number of them.
public enum SolverCost {
    /// Estimated cost of one iteration, in operations at peak rate.
    public static func cost(
        _ solver: FactorizationSolver, byUser: HostSparseMatrix, byItem: HostSparseMatrix,
        options: FactorizationOptions
    ) -> Double {
        let d = Double(options.tableColumns)
        let rows = Double(byUser.rows + byItem.rows)
        let entries = Double(byUser.entryCount)
        let rotation = options.feedback == .implicit ? 2 * rows * d * d : 0
        switch solver {
        case .exact:
            let work = exactOperations(byUser, d) + exactOperations(byItem, d)
            return work / 0.5 + 2 * entries * 1600 + rotation / 0.9
        case .cg:
            let steps = Double(options.conjugateGradientSteps + 1)
            return 8 * steps * entries * d / 0.25 + 2 * entries * steps * 300 + 2 * rotation / 0.9
        case .subspace:
            let block = min(Double(options.blockSize), d)
            let work = 2 * entries * d * (block + 4) + rows * d * block * block / 3
            return work / 0.3 + 2 * entries * 2000 + 2 * rotation / 0.9
        case .auto:
            return cost(
                cheapest(byUser: byUser, byItem: byItem, options: options), byUser: byUser, byItem: byItem,
                options: options)
        }
    }

    /// The solver with the smallest estimate.
    public static func cheapest(
        byUser: HostSparseMatrix, byItem: HostSparseMatrix, options: FactorizationOptions
    ) -> FactorizationSolver {
        let candidates: [FactorizationSolver] = [.exact, .cg, .subspace]
        return candidates.min { first, second in
            cost(first, byUser: byUser, byItem: byItem, options: options)
                < cost(second, byUser: byUser, byItem: byItem, options: options)
        }!
    }

    /// Σ over rows of n·d·min(n, d) + min(n, d)³/3.
    private static func exactOperations(_ matrix: HostSparseMatrix, _ d: Double) -> Double {
        var sum = 0.0
        for row in 0..<matrix.rows {
            let n = Double(matrix.range(ofRow: row).count)
            let m = min(n, d)
            sum += n * d * m + m * m * m / 3
        }
        return sum
    }
}
