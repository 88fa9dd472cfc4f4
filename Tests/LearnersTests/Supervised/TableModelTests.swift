import Core
import Learners
import Tables
import Testing

/// From a table to a saved model and back.
@Suite struct TableModelTests {
    private func trained(
        _ learner: any SupervisedLearner, _ change: (inout TableTrainingOptions) -> Void = { _ in }
    ) throws -> TableTrainingResult {
        var options = TableTrainingOptions(pipeline: TablePipeline(learner: learner))
        change(&options)
        return try TableTraining.train(
            try SupervisedTables.supervised(SupervisedTables.churn()), options: options, context: cpuContext())
    }

    @Test func everyLearnerBeatsTheBaselineAndIsSaved() throws {
        let folder = TemporaryFolder()
        let table = try SupervisedTables.churn()
        // Pictures are no customers, and these have no events.
        for type in LearnerRegistry.learners
        where type.tasks.contains(.binary) && ![CNNLearner.kind, RNNLearner.kind].contains(type.kind) {
            let result = try trained(type.init())
            let evaluation = try #require(result.evaluation)
            #expect(try #require(evaluation.metric("roc_auc")) > 0.72, "\(type.kind)")
            #expect(evaluation.baselines[0].metrics.first { $0.name == "roc_auc" }?.value.value == 0.5)
            let interval = try #require(evaluation.metrics.first { $0.name == "roc_auc" }?.value)
            #expect(interval.low < interval.value && interval.value < interval.high)
            let path = folder.file("\(type.kind).apus")
            try result.model.save(to: path)
            let loaded = try TableModel(path: path)
            #expect(loaded.provenance == result.model.provenance)
            #expect(loaded.threshold == result.model.threshold)
            let before = try result.model.predict(table, context: cpuContext())
            #expect(try loaded.predict(table, context: cpuContext()).isIdentical(to: before), "\(type.kind)")
        }
    }

    @Test func otherOrdersAndUnseenCategoriesAreTaken() throws {
        let model = try trained(LogisticRegression()).model
        let table = try SupervisedTables.churn(rows: 20, seed: 99)
        let expected = try model.predict(table, context: cpuContext())
        let shuffled = try table.selecting(Array(table.columnNames.reversed()))
            .setting(Column("extra", .number([Double](repeating: 1, count: 20))))
        #expect(try model.predict(shuffled, context: cpuContext()).isIdentical(to: expected))
        let unseen = try table.setting(Column("city", categories: [String?](repeating: "Lima", count: 20)))
        #expect(try model.predict(unseen, context: cpuContext()).storage.elements.allSatisfy { $0.isFinite })
        #expect(throws: DataError.self) {
            try model.predict(try table.dropping(["calls"]), context: cpuContext())
        }
    }

    @Test func aMillionCategoriesAreOneOther() throws {
        let rows = 1_000_000
        let random = Philox(seed: 3, stream: 1)
        let calls = (0..<rows).map { Double(random.integer(UInt64(2 * $0), below: 8)) }
        let table = try Table([
            Column("code", categories: (0..<rows).map { "code\($0)" }), Column("calls", .number(calls)),
            Column(
                "left",
                categories: (0..<rows).map { random.uniform64(UInt64(2 * $0 + 1)) * 8 < calls[$0] ? "yes" : "no" }),
        ])
        let target = try SupervisedTables.supervised(table)
        for learner in [LogisticRegression(), SupportVectorMachine(), GradientBoosting()] as [any SupervisedLearner] {
            let result = try TableTraining.train(
                target, options: TableTrainingOptions(pipeline: TablePipeline(learner: learner)), context: cpuContext())
            // The best there is: the rate of leaving is known by the calls alone.
            #expect(abs(try #require(result.evaluation?.metric("roc_auc")) - 0.833) < 0.005)
        }
    }

    @Test func thePositiveClassIsFoundWhateverItsCase() throws {
        func positive(_ wanted: String, _ values: [String]) throws -> String? {
            let table = try Table([
                Column("calls", .number([1, 2, 3, 4])), Column("left", categories: values.map { $0 }),
            ])
            return try SupervisedTable(
                table, roles: TableRoles(target: "left", positive: wanted), kinds: [.binary, .multiclass]
            ).task.labels.last
        }
        #expect(try positive("TRUE", ["true", "false", "true", "false"]) == "true")
        #expect(try positive("Yes", ["yes", "Yes", "no", "no"]) == "Yes")
        #expect(throws: DataError.self) { try positive("YES", ["yes", "Yes", "no", "no"]) }
    }

    @Test func theHeldOutRowsAreFoundAgain() throws {
        let result = try trained(LogisticRegression())
        let data = try result.model.supervised(try SupervisedTables.churn())
        let (rows, isHeldOut) = try result.model.rowsToJudge(data)
        #expect(isHeldOut && rows.count == 400)
        let test = data.selecting(rows: rows)
        let values = SupervisedEvaluation.values(
            try result.model.predict(test.table, context: cpuContext()), task: data.task, target: test.target)
        #expect(values.first { $0.name == "roc_auc" }?.value == result.evaluation?.metric("roc_auc"))
        let other = try result.model.supervised(try SupervisedTables.churn(rows: 300, seed: 8))
        #expect(try result.model.rowsToJudge(other).isHeldOut == false)
    }

    @Test func probabilitiesOfMachinesAreCalibrated() throws {
        let calibrated = try trained(SupportVectorMachine())
        let raw = try trained(SupportVectorMachine()) { $0.pipeline.calibration = .none }
        #expect(calibrated.model.pipeline.calibration?.kind == .platt)
        #expect(
            try #require(calibrated.evaluation?.metric("calibration_error"))
                < (try #require(raw.evaluation?.metric("calibration_error"))))
    }

    @Test(arguments: Sampling.allCases)
    func rareClassesAreFoundMoreOften(sampling: Sampling) throws {
        // One row in twelve is positive.
        let table = try SupervisedTables.churn(rows: 3000)
        let left = try table.column("left")
        var seen = 0
        let kept = (0..<3000).filter { row in
            guard left.text(row) == "yes" else { return true }
            seen += 1
            return seen % 11 == 0
        }
        let data = try SupervisedTables.supervised(table.selecting(rows: kept))
        var options = TableTrainingOptions(pipeline: TablePipeline(learner: LogisticRegression(), sampling: sampling))
        let result = try TableTraining.train(data, options: options, context: cpuContext())
        let recall = try #require(result.evaluation?.metric("recall"))
        options.pipeline.sampling = .none
        options.pipeline.balanced = true
        let balanced = try TableTraining.train(data, options: options, context: cpuContext())
        if sampling == .none {
            #expect(recall < 0.5)
            #expect(try #require(balanced.evaluation?.metric("recall")) > 0.6)
        } else {
            #expect(recall > 0.6)
        }
        // The held-out rows are never sampled.
        #expect(result.evaluation?.rows == balanced.evaluation?.rows)
    }

    @Test func thresholdsFollowTheWorthOfDecisions() throws {
        let generous = try trained(LogisticRegression()) { $0.value = try? DecisionValue("tp=40,fp=-2") }
        let careful = try trained(LogisticRegression()) { $0.value = try? DecisionValue("tp=2,fp=-40") }
        #expect(generous.model.threshold < 0.2)
        #expect(careful.model.threshold > 0.8)
        #expect(try #require(generous.profit).profit > 0)
        #expect(throws: ParameterError.self) { try DecisionValue("tp=40,fq=1") }
        #expect(try DecisionValue("tp=40,fp=-10").threshold == 0.2)
    }

    @Test func targetsAreUnderstoodOrRefused() throws {
        let table = try SupervisedTables.churn(rows: 200)
        func read(_ roles: TableRoles, _ kinds: Set<SupervisedTask.Kind> = [.binary, .multiclass]) throws
            -> SupervisedTask
        {
            try SupervisedTable(table, roles: roles, kinds: kinds).task
        }
        #expect(try read(TableRoles(target: "left")).labels == ["no", "yes"])
        #expect(try read(TableRoles(target: "left", positive: "no")).labels == ["yes", "no"])
        #expect(try read(TableRoles(target: "city")).kind == .multiclass)
        #expect(try read(TableRoles(target: "city", positive: "上海")).labels == ["not 上海", "上海"])
        #expect(try read(TableRoles(target: "bill"), [.regression]).kind == .regression)
        #expect(throws: DataError.self) { try read(TableRoles(target: "bill")) }
        #expect(throws: DataError.self) { try read(TableRoles(target: "left"), [.regression]) }
        #expect(throws: DataError.self) { try read(TableRoles(target: "left", positive: "maybe")) }
        #expect(throws: DataError.self) { try read(TableRoles(target: "absent")) }
        let missing = try table.setting(Column("left", categories: [String?](repeating: nil, count: 200)))
        #expect(throws: DataError.self) { try SupervisedTables.supervised(missing) }
        let constant = try table.setting(Column("left", categories: [String?](repeating: "no", count: 200)))
        #expect(throws: DataError.self) { try SupervisedTables.supervised(constant) }
        let city = try SupervisedTable(table, roles: TableRoles(target: "city"), kinds: [.multiclass])
        #expect(city.dropped > 0 && city.rows + city.dropped == 200 && !city.notes.isEmpty)
    }

    @Test func columnsThatTellTheTargetAreNamed() throws {
        let table = try SupervisedTables.churn(rows: 200)
        let copy = try table.column("left").renamed("cancelled")
        let data = try SupervisedTables.supervised(try table.setting(copy))
        #expect(data.notes.contains { $0.contains("cancelled") })
        #expect(try SupervisedTables.supervised(table).notes.isEmpty)
    }
}
