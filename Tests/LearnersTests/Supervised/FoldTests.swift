import Core
import Learners
import Testing

@Suite struct FoldTests {
    private let target = (0..<200).map { Double($0 % 10 == 0 ? 1 : 0) }

    @Test(arguments: [FoldKind.stratified, .random])
    func everyRowIsJudgedOnce(kind: FoldKind) throws {
        let folds = try Folds.divide(kind, count: 7, target: target, isClassification: true, seed: 4)
        #expect(folds.flatMap(\.test).sorted() == Array(0..<200))
        for fold in folds {
            #expect(Set(fold.training).isDisjoint(with: fold.test))
            #expect(fold.training.count + fold.test.count == 200)
        }
        #expect(folds == (try Folds.divide(kind, count: 7, target: target, isClassification: true, seed: 4)))
        #expect(folds != (try Folds.divide(kind, count: 7, target: target, isClassification: true, seed: 5)))
    }

    @Test func classesAreSpreadEvenly() throws {
        for fold in try Folds.divide(.stratified, count: 5, target: target, isClassification: true, seed: 1) {
            #expect(fold.test.count { target[$0] == 1 } == 4)
        }
        let held = try Folds.holdOut(.stratified, share: 0.25, target: target, isClassification: true, seed: 1)
        #expect(held.test.count == 50 && held.test.count { target[$0] == 1 } == 5)
    }

    @Test func groupsStayTogether() throws {
        let groups = (0..<200).map { Int32($0 / 7) }
        let folds = try Folds.divide(
            .grouped, count: 4, target: target, isClassification: true, groups: groups, seed: 1)
        for fold in folds {
            #expect(Set(fold.training.map { groups[$0] }).isDisjoint(with: fold.test.map { groups[$0] }))
            #expect((40...60).contains(fold.test.count))
        }
        #expect(throws: ParameterError.self) {
            try Folds.divide(.grouped, count: 4, target: target, isClassification: true, seed: 1)
        }
    }

    @Test func rollingFoldsNeverLookAhead() throws {
        let times = (0..<200).map { Double(($0 * 37) % 50) }
        for fold in try Folds.divide(.rolling, count: 4, target: target, isClassification: true, times: times, seed: 1)
        {
            let latest = fold.training.map { times[$0] }.max() ?? 0
            #expect(fold.test.allSatisfy { times[$0] > latest })
        }
        let held = try Folds.holdOut(
            .rolling, share: 0.2, target: target, isClassification: true, times: times, seed: 1)
        let latest = held.training.map { times[$0] }.max() ?? 0
        #expect(held.test.allSatisfy { times[$0] >= latest })
        #expect(throws: ParameterError.self) {
            try Folds.divide(
                .rolling, count: 4, target: target, isClassification: true,
                times: [Double](repeating: 1, count: 200), seed: 1)
        }
    }

    @Test func tooFewRowsAreRefused() {
        #expect(throws: ParameterError.self) {
            try Folds.divide(.random, count: 5, target: [0, 1, 0], isClassification: true, seed: 1)
        }
        #expect(throws: ParameterError.self) {
            try Folds.holdOut(.random, share: 1, target: target, isClassification: true, seed: 1)
        }
    }
}
