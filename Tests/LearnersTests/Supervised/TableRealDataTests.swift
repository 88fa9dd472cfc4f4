import Core
import Learners
import Tables
import Testing

/// The public tables, beside what scikit-learn (boosting: LightGBM) reaches on them (scripts/make-fixtures/cross_validation.py).
@Suite(.enabled(if: dataFolder != nil)) struct TableRealDataTests {
    private func data(_ name: String) throws -> SupervisedTable {
        let folder = try #require(dataFolder)
        var options = TableReadOptions()
        switch name {
        case "bank":
            options.dropped = ["duration"]
            return try SupervisedTable(
                TableReader.read(folder + "/bank-marketing/bank-full.csv", options: options),
                roles: TableRoles(target: "y", positive: "yes"), kinds: [.binary])
        case "telco":
            options.dropped = ["customerID"]
            return try SupervisedTable(
                TableReader.read(folder + "/telco-churn/Telco-Customer-Churn.csv", options: options),
                roles: TableRoles(target: "Churn"), kinds: [.binary])
        default:
            return try SupervisedTable(
                TableReader.read(folder + "/online-shoppers/online_shoppers_intention.csv", options: options),
                roles: TableRoles(target: "Revenue"), kinds: [.binary])
        }
    }

    @Test(arguments: CrossValidatedPeer.all)
    func areasUnderTheCurveAreNotBelow(peer: CrossValidatedPeer) throws {
        let data = try data(peer.table)
        #expect(data.task.kind == .binary)
        let folds = try data.folds(.stratified, count: 5, seed: 42)
        var learner = try LearnerRegistry.parse(peer.learner)
        learner.seed = 42
        // The curve's area does not change by calibration.
        let pipeline = TablePipeline(learner: learner, calibration: .none)
        let result = try CrossValidation.run(pipeline, on: data, folds: folds, context: cpuContext())
        #expect(result.mean("roc_auc") > peer.area - 0.003, "\(peer)")
    }
}

/// A learner of scikit-learn on a table, and its area under the ROC curve over five folds.
struct CrossValidatedPeer: Sendable, CustomStringConvertible {
    let table: String
    let learner: String
    let area: Double

    var description: String { "\(learner) on \(table), \(area)" }

    static let all: [CrossValidatedPeer] = [
        CrossValidatedPeer(table: "bank", learner: "logistic", area: 0.76537),
        CrossValidatedPeer(table: "bank", learner: "svm", area: 0.76184),
        CrossValidatedPeer(table: "bank", learner: "naive-bayes", area: 0.74288),
        CrossValidatedPeer(table: "bank", learner: "knn", area: 0.73619),
        CrossValidatedPeer(table: "bank", learner: "tree", area: 0.61333),
        CrossValidatedPeer(table: "bank", learner: "forest", area: 0.78029),
        CrossValidatedPeer(table: "bank", learner: "boosting", area: 0.80158),
        CrossValidatedPeer(table: "telco", learner: "logistic", area: 0.84490),
        CrossValidatedPeer(table: "telco", learner: "svm", area: 0.84164),
        CrossValidatedPeer(table: "telco", learner: "naive-bayes", area: 0.81817),
        CrossValidatedPeer(table: "telco", learner: "knn", area: 0.82024),
        CrossValidatedPeer(table: "telco", learner: "tree", area: 0.65917),
        CrossValidatedPeer(table: "telco", learner: "forest", area: 0.81802),
        CrossValidatedPeer(table: "telco", learner: "boosting", area: 0.83417),
        CrossValidatedPeer(table: "shoppers", learner: "logistic", area: 0.89353),
        CrossValidatedPeer(table: "shoppers", learner: "svm", area: 0.90304),
        CrossValidatedPeer(table: "shoppers", learner: "naive-bayes", area: 0.81495),
        CrossValidatedPeer(table: "shoppers", learner: "knn", area: 0.84394),
        CrossValidatedPeer(table: "shoppers", learner: "tree", area: 0.74065),
        CrossValidatedPeer(table: "shoppers", learner: "forest", area: 0.92519),
    ]
}
