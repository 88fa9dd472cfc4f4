import Compute
import Core
import FoundationEssentials
import Tables

/// A trained model of a table as it is saved: preprocessing, predictor, calibration, and where it came from.
public struct TableModel: Sendable {
    /// The learner as it was configured.
    public let learner: any SupervisedLearner
    public let pipeline: FittedPipeline
    public let roles: TableRoles
    /// From which probability on a row is said to be positive, for two classes.
    public var threshold: Double
    public var provenance: TableModelProvenance

    public init(
        learner: any SupervisedLearner, pipeline: FittedPipeline, roles: TableRoles, threshold: Double,
        provenance: TableModelProvenance
    ) {
        self.learner = learner
        self.pipeline = pipeline
        self.roles = roles
        self.threshold = threshold
        self.provenance = provenance
    }

    /// The word for what it is: `logistic`, `forest`.
    public var kind: String { type(of: learner).kind }
    public var task: SupervisedTask { pipeline.task }

    /// rows × outputs: a number for each row, or probabilities of the classes.
    ///
    /// Columns may come in another order, and there may be more of them. Throws ``DataError`` when one that is needed
    /// is missing.
    public func predict(_ table: Table, context: LearningContext) throws -> HostMatrix {
        try pipeline.predict(table, context: context)
    }

    /// The class said of a row, by the threshold for two classes.
    public func label(_ probabilities: UnsafeMutableBufferPointer<Float>) -> String {
        guard task.isClassification else { return "" }
        if task.kind == .binary { return task.labels[Double(probabilities[1]) >= threshold ? 1 : 0] }
        var best = 0
        for place in 1..<task.labels.count where probabilities[place] > probabilities[best] { best = place }
        return task.labels[best]
    }

    /// A table's rows with their target, in the classes of the model.
    public func supervised(_ table: Table) throws -> SupervisedTable {
        try SupervisedTable(table, roles: roles, kinds: [task.kind], task: task)
    }

    /// The rows that the model did not learn from, when the table is the one it was trained with; else all.
    public func rowsToJudge(_ data: SupervisedTable) throws -> (rows: [Int], isHeldOut: Bool) {
        guard data.fingerprint == provenance.fingerprint else { return (Array(0..<data.rows), false) }
        guard provenance.testShare > 0, !provenance.refitted else { return (Array(0..<data.rows), false) }
        let fold = try data.holdOut(provenance.split, share: provenance.testShare, seed: provenance.seed)
        return (fold.test, true)
    }
}

/// How a model came to be: stored in the model, printed by `inspect`.
public struct TableModelProvenance: Codable, Sendable, Equatable {
    /// Version of the library that trained it.
    public var apusVersion = ApusVersion.current
    /// Seconds since 1970.
    public var createdAt: Int64 = 0
    public var device = ""
    public var threads = 0
    /// Of the rows, the recipe's folds and the split.
    public var seed: UInt64 = 0
    /// Rows learned from, and all.
    public var trainedRows = 0
    public var rows = 0
    /// How the rows were divided, and which share was held out; 0 for none.
    public var split = FoldKind.stratified
    public var testShare = 0.0
    /// Whether the model was trained once more on everything after the evaluation.
    public var refitted = false
    /// Identifies the rows: see ``SupervisedTable/fingerprint``.
    public var fingerprint = ""
    /// Rates of the classes, or the mean, among the rows learned from.
    public var priors: [Double] = []
    public var sampling = Sampling.none
    public var balanced = false
    /// The worth of decisions that the threshold was chosen by.
    public var value: DecisionValue?
    /// Figures on the held-out rows, and those of the baselines.
    public var metrics: [String: MetricValue] = [:]
    public var baselines: [String: [String: MetricValue]] = [:]
    /// What a person should know.
    public var notes: [String] = []
    /// Types of the columns that it was trained with, by name.
    public var columns: [TableSchema.Entry] = []
    /// How their values were distributed, to measure drift by (``Tables/TableDrift``); nil in files of older versions.
    public var profile: TableProfile?
    /// The arguments of the command that made it.
    public var arguments: [String] = []

    public init() {}
}

/// The model file: one safetensors file with everything in it.
///
/// Tensors: those of the predictor. Metadata: `apus_kind`, `apus_format_version`, `learner`, `predictor`, `recipe`,
/// `calibration`, `task`, `roles`, `threshold` and `provenance` as JSON.
extension TableModel {
    /// Raised when a reader of the previous version could not understand the file. Older versions keep loading.
    public static let formatVersion = 1

    /// Whether a kind of model file is one of these.
    public static func isTableKind(_ kind: String) -> Bool {
        LearnerRegistry.learners.contains { $0.kind == kind }
    }

    /// Writes the model: to a temporary file beside `path`, synced, renamed. Throws ``SystemError``.
    public func save(to path: String) throws {
        func json(_ value: some Encodable) throws -> String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        }
        var metadata = [
            "apus_kind": kind, "apus_format_version": String(Self.formatVersion), "learner": try json(learner),
            "predictor": try json(pipeline.predictor.settings), "recipe": try json(pipeline.recipe),
            "task": try json(task), "roles": try json(roles), "threshold": try json([threshold]),
            "provenance": try json(provenance),
        ]
        if let calibration = pipeline.calibration { metadata["calibration"] = try json(calibration) }
        var writer = SafetensorsWriter(metadata: metadata)
        pipeline.predictor.write(to: &writer)
        try writer.write(to: path)
    }

    /// Reads a model.
    ///
    /// - Throws: ``SystemError`` when the file can't be opened; ``DataError`` when it is no model of a table, is damaged,
    ///   or was written by a newer version.
    public init(path: String) throws {
        let file = try SafetensorsFile(path: path)
        let kind = file.metadata["apus_kind"] ?? ""
        guard let learner = LearnerRegistry.learners.first(where: { $0.kind == kind }) else {
            throw DataError(
                kind.isEmpty
                    ? "this safetensors file was not written by Apus"
                    : "this is a model of kind `\(kind)`, not one of a table", file: path)
        }
        try file.require(kind: kind, newestVersion: Self.formatVersion)
        self = try Self.read(file, learner)
    }

    private static func read<Learner: SupervisedLearner>(
        _ file: SafetensorsFile, _ type: Learner.Type
    ) throws -> TableModel {
        let learner: Learner = try file.decode("learner")
        let settings: Learner.Predictor.Settings = try file.decode("predictor")
        let recipe: FittedRecipe = try file.decode("recipe")
        let task: SupervisedTask = try file.decode("task")
        let thresholds: [Double] = try file.decode("threshold")
        let predictor: Learner.Predictor
        do {
            predictor = try Learner.Predictor(settings: settings, file: file, task: task, columns: recipe.features)
        } catch let error as DataError {
            throw DataError(error.reason, file: file.path)
        }
        var pipeline = FittedPipeline(recipe: recipe, predictor: predictor, calibration: nil, task: task)
        if file.metadata["calibration"] != nil { pipeline.calibration = try file.decode("calibration") }
        return TableModel(
            learner: learner, pipeline: pipeline, roles: try file.decode("roles"), threshold: thresholds.first ?? 0.5,
            provenance: try file.decode("provenance"))
    }
}
