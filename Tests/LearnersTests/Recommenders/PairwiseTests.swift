import Compute
import Core
import Learners
import Tables
import Testing

@Suite struct PairwiseTests {
    private static func options(_ loss: PairwiseLoss) -> PairwiseOptions {
        var options = PairwiseOptions(loss)
        options.factors = 12
        options.learningRate = 0.1
        options.iterations = 8
        return options
    }

    /// Enough interactions for several shards: every thread count gives the same bits.
    @Test(arguments: PairwiseLoss.allCases)
    func threadsDoNotMatter(loss: PairwiseLoss) throws {
        let data = randomInteractions(rows: 900, columns: 300, lengths: [20, 5, 40, 0])
        for negatives in NegativeSampling.allCases {
            var options = Self.options(loss)
            options.negatives = negatives
            let one = try PairwiseFactors(byUser: data, options: options, threads: 1)
            for threads in [2, 5] {
                let more = try PairwiseFactors(byUser: data, options: options, threads: threads)
                #expect(one.users.isIdentical(to: more.users) && one.items.isIdentical(to: more.items))
                #expect(one.biases.map(\.bitPattern) == more.biases.map(\.bitPattern))
            }
            options.seed = 43
            #expect(try !one.items.isIdentical(to: PairwiseFactors(byUser: data, options: options, threads: 2).items))
        }
    }

    /// What users have comes to rank before what they don't have.
    @Test(arguments: PairwiseLoss.allCases)
    func pairsComeIntoOrder(loss: PairwiseLoss) throws {
        let data = try KindTests.planted().byUser
        func ordered(_ iterations: Int) throws -> Double {
            var options = Self.options(loss)
            options.iterations = iterations
            let learned = try PairwiseFactors(byUser: data, options: options, threads: 2)
            var (right, all) = (0, 0)
            for user in stride(from: 0, to: data.rows, by: 5) {
                func score(_ item: Int) -> Float {
                    zip(learned.users.row(user), learned.items.row(item)).reduce(learned.biases[item]) {
                        $0 + $1.0 * $1.1
                    }
                }
                let own = Set(data.columns(ofRow: user).map { Int($0) })
                let others = (0..<data.columns).filter { !own.contains($0) }
                for item in own {
                    for other in others {
                        all += 1
                        if score(item) > score(other) { right += 1 }
                    }
                }
            }
            return Double(right) / Double(all)
        }
        let (short, long) = (try ordered(1), try ordered(40))
        #expect(long > 0.85 && long > short, "\(short), \(long)")
    }

    @Test func badParametersAndDataAreRefused() throws {
        for change: (inout PairwiseOptions) -> Void in [
            { $0.factors = 0 }, { $0.iterations = 0 }, { $0.learningRate = 0 }, { $0.regularization = -1 },
            { $0.trials = 65 }, { $0.learningRate = .nan },
        ] {
            var options = PairwiseOptions()
            change(&options)
            #expect(throws: ParameterError.self) { try options.validate() }
        }
        let none = HostSparseMatrix(rows: 3, columns: 3, entries: [])
        #expect(throws: DataError.self) { try PairwiseFactors(byUser: none, options: PairwiseOptions(), threads: 1) }
        let single = HostSparseMatrix(rows: 3, columns: 3, entries: [(0, 1, 1), (2, 1, 1)])
        #expect(throws: DataError.self) { try PairwiseFactors(byUser: single, options: PairwiseOptions(), threads: 1) }
        // Users who have everything leave no pairs: the tables stay as they were drawn.
        let full = HostSparseMatrix(
            rows: 2, columns: 3, entries: (0..<6).map { ($0 / 3, $0 % 3, 1) })
        let learned = try PairwiseFactors(byUser: full, options: Self.options(.bpr), threads: 1)
        #expect(learned.items.storage.elements.allSatisfy { $0.isFinite } && learned.biases == [0, 0, 0])
        // A rate at which it diverges is refused with what to do.
        var wild = Self.options(.bpr)
        wild.learningRate = 1e30
        wild.regularization = 0
        let error = #expect(throws: ParameterError.self) {
            try PairwiseFactors(
                byUser: randomInteractions(rows: 50, columns: 30, lengths: [9]), options: wild, threads: 1)
        }
        #expect(error?.parameter == "learningRate")
    }
}
