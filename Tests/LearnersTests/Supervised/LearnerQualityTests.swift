import Core
import Learners
import Tables
import Testing

/// Every learner finds a structure that was planted, on every device.
@Suite struct LearnerQualityTests {
    /// Two classes by a linear rule with a fifth of the labels wrong at random.
    private func linear(rows: Int = 1500, columns: Int = 6) throws -> (
        training: TrainingSet, test: Features, truth: [Double]
    ) {
        let random = Philox(seed: 21, stream: 5)
        let matrix = HostMatrix(
            rows: rows + 500, columns: columns,
            elements: (0..<(rows + 500) * columns).map { Float(random.normal(UInt64($0))) })
        let truth = (0..<rows + 500).map { row -> Double in
            Double(matrix[row, 0]) - 2 * Double(matrix[row, 1]) + 0.5 * Double(matrix[row, 2]) > 0 ? 1 : 0
        }
        let flips = Philox(seed: 22, stream: 5)
        let target = (0..<rows).map { flips.uniform64(UInt64($0)) < 0.2 ? 1 - truth[$0] : truth[$0] }
        let features = Features(matrix)
        return (
            TrainingSet(
                features: features.selecting(rows: Array(0..<rows)), task: .binary(negative: "no", positive: "yes"),
                target: target), features.selecting(rows: Array(rows..<rows + 500)), Array(truth[rows...])
        )
    }

    /// One class inside a ring of the other: no line tells them apart.
    private func ring() throws -> (training: TrainingSet, test: Features, truth: [Double]) {
        let random = Philox(seed: 23, stream: 5)
        let matrix = HostMatrix(rows: 1200, columns: 2, elements: (0..<2400).map { Float(random.normal(UInt64($0))) })
        let truth = (0..<1200).map { row -> Double in
            let square = matrix[row, 0] * matrix[row, 0] + matrix[row, 1] * matrix[row, 1]
            return square < 1.4 ? 1 : 0
        }
        let features = Features(matrix)
        return (
            TrainingSet(
                features: features.selecting(rows: Array(0..<800)), task: .binary(negative: "out", positive: "in"),
                target: Array(truth[..<800])), features.selecting(rows: Array(800..<1200)), Array(truth[800...])
        )
    }

    private func accuracy(_ predictions: HostMatrix, _ truth: [Double]) -> Double {
        let hits = truth.indices.count { (predictions[$0, 1] >= 0.5 ? 1.0 : 0.0) == truth[$0] }
        return Double(hits) / Double(truth.count)
    }

    @Test(arguments: TestDevices.names)
    func linearRulesAreFound(device: String) throws {
        let context = LearningContext(stream: try TestDevices.stream(device))
        let (training, test, truth) = try linear()
        // The line itself, and what can only come near it.
        let learners: [(learner: any SupervisedLearner, atLeast: Double)] = [
            (LogisticRegression(), 0.9), (SupportVectorMachine(), 0.9), (NearestNeighbours(), 0.86),
            (NaiveBayes(), 0.86),
        ]
        for (learner, atLeast) in learners {
            let predictions = try fit(learner, training, test, context)
            let share = accuracy(predictions, truth)
            #expect(share > atLeast, "\(type(of: learner).kind): \(share)")
            for row in 0..<predictions.rows { #expect(abs(predictions[row, 0] + predictions[row, 1] - 1) < 1e-5) }
        }
    }

    @Test(arguments: TestDevices.names)
    func ringsAreFoundByKernels(device: String) throws {
        let context = LearningContext(stream: try TestDevices.stream(device))
        let (training, test, truth) = try ring()
        var radial = SupportVectorMachine()
        radial.kernel = .rbf
        var polynomial = radial
        (polynomial.kernel, polynomial.degree, polynomial.offset) = (.polynomial, 2, 1)
        var random = radial
        random.randomFeatures = 400
        for learner in [radial, polynomial, random] {
            #expect(accuracy(try fit(learner, training, test, context), truth) > 0.95)
        }
        #expect(accuracy(try fit(LogisticRegression(), training, test, context), truth) < 0.75)
    }

    private func fit<Learner: SupervisedLearner>(
        _ learner: Learner, _ training: TrainingSet, _ test: Features, _ context: LearningContext
    ) throws -> HostMatrix {
        try learner.fit(training, context: context).predict(test, context: context)
    }

    @Test func wordsOfTopicsAreFound() throws {
        // Three topics with words of their own among common ones, as sparse counts.
        let random = Philox(seed: 31, stream: 5)
        var entries: [(row: Int, column: Int, value: Float)] = []
        var target: [Double] = []
        for row in 0..<600 {
            target.append(Double(row % 3))
            for word in 0..<12 {
                let draw = UInt64(row * 24 + word * 2)
                let own = random.uniform64(draw) < 0.25
                let column =
                    own ? row % 3 * 20 + random.integer(draw + 1, below: 20) : 60 + random.integer(draw + 1, below: 200)
                entries.append((row, column, 1))
            }
        }
        let features = Features(
            columns: (0..<260).map { FeatureDescription(name: "w\($0)") },
            values: .sparse(HostSparseMatrix(rows: 600, columns: 260, entries: entries)))
        let training = TrainingSet(
            features: features.selecting(rows: Array(0..<450)), task: try .classification(["a", "b", "c"]),
            target: Array(target[..<450]))
        let test = features.selecting(rows: Array(450..<600))
        var cosine = NearestNeighbours()
        cosine.metric = .cosine
        for learner in [LogisticRegression(), SupportVectorMachine(), NaiveBayes(), cosine] as [any SupervisedLearner] {
            let predictions = try fit(learner, training, test, cpuContext())
            let hits = (0..<150).count { row in
                (0..<3).max { predictions[row, $0] < predictions[row, $1] } == Int(target[450 + row])
            }
            #expect(hits > 110, "\(type(of: learner).kind): \(hits)")
        }
    }

    @Test func badDataIsRefusedInWords() throws {
        let good = try linear(rows: 50).training
        let matrix = good.features.dense
        matrix[3, 2] = .nan
        let broken = TrainingSet(features: Features(matrix), task: good.task, target: good.target)
        for type in LearnerRegistry.learners where type.init().featureStyle != .native && type.tasks.contains(.binary) {
            #expect(throws: DataError.self, "\(type.kind)") { try self.fitAny(type.init(), broken) }
        }
        let single = TrainingSet(
            features: good.features, task: good.task, target: [Double](repeating: 1, count: good.rows))
        #expect(throws: DataError.self) { try self.fitAny(LogisticRegression(), single) }
        #expect(throws: DataError.self) { try SupervisedTask.classification(["one"]) }
        var wrong = LogisticRegression()
        wrong.l2 = -1
        #expect(throws: ParameterError.self) { try self.fitAny(wrong, good) }
    }

    private func fitAny(_ learner: some SupervisedLearner, _ training: TrainingSet) throws {
        _ = try learner.fit(training, context: cpuContext())
    }

    @Test func workStopsWhenAsked() throws {
        let context = LearningContext(stream: try TestDevices.stream("cpu"), progress: { _ in .stop })
        for learner in [LogisticRegression(), SupportVectorMachine(), NaiveBayes()] as [any SupervisedLearner] {
            #expect(throws: CancellationError.self) { try self.fitStopped(learner, context) }
        }
    }

    private func fitStopped(_ learner: some SupervisedLearner, _ context: LearningContext) throws {
        _ = try learner.fit(try linear(rows: 100).training, context: context)
    }

    @Test func parametersAreSetByName() throws {
        let changed = try LearnerRegistry.parse("svm(kernel=rbf, c=0.5,randomFeatures=10)")
        let machine = try #require(changed as? SupportVectorMachine)
        #expect(machine.kernel == .rbf && machine.c == 0.5 && machine.randomFeatures == 10)
        #expect(try LearnerRegistry.parseList("logistic(l1=1,l2=2),knn").count == 2)
        #expect(throws: ParameterError.self) { try LearnerRegistry.parse("svm(width=1)") }
        #expect(throws: ParameterError.self) { try LearnerRegistry.parse("svm(kernel=round)") }
        #expect(throws: ParameterError.self) { try LearnerRegistry.parse("oracle") }
        #expect(throws: ParameterError.self) { try LearnerRegistry.parse("svm(c=-1)") }
    }
}
