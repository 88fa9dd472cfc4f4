import Core
import FoundationEssentials
import Tables

/// An isolation forest with its preprocessing: says how odd each row of a table is.
///
/// The file: tensors of the trees under `isolation.` (see ``TreesPredictor``); metadata `recipe`, `forest` as JSON.
public struct IsolationModel: Sendable {
    /// The `apus_kind` of its file.
    public static let kind = "isolation-forest"
    /// Raised when a reader of the previous version could not understand the file.
    public static let formatVersion = 1

    private struct Facts: Codable {
        var rowsPerTree: Int
        var trainedRows: Int
        var settings: IsolationForestSettings
    }

    /// From columns to features.
    public let recipe: FittedRecipe
    /// The trees.
    public let forest: IsolationForest
    /// How they were grown.
    public let settings: IsolationForestSettings
    /// Rows of the table that it was trained with.
    public let trainedRows: Int

    /// Learns what is usual in a table.
    public static func train(
        _ table: Table, recipe: Recipe = .native(), settings: IsolationForestSettings = IsolationForestSettings(),
        threads: Int, progress: TreeProgress? = nil
    ) throws -> IsolationModel {
        let (fitted, features) = try recipe.fitAndApply(table, seed: settings.seed)
        let forest = try IsolationForest.fit(
            features.dense, kinds: features.columns.map(\.treeKind), options: settings, threads: threads,
            progress: progress)
        return IsolationModel(recipe: fitted, forest: forest, settings: settings, trainedRows: features.rows)
    }

    private init(recipe: FittedRecipe, forest: IsolationForest, settings: IsolationForestSettings, trainedRows: Int) {
        self.recipe = recipe
        self.forest = forest
        self.settings = settings
        self.trainedRows = trainedRows
    }

    /// Oddness of each row: about 0.5 for rows like all others, towards 1 for odd ones.
    ///
    /// Throws ``DataError`` when a column that is needed is missing.
    public func scores(_ table: Table, threads: Int) throws -> [Double] {
        try forest.scores(try recipe.apply(table).dense, threads: threads)
    }

    /// Writes the model: to a temporary file beside `path`, synced, renamed. Throws ``SystemError``.
    public func save(to path: String) throws {
        func json(_ value: some Encodable) throws -> String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        }
        var writer = SafetensorsWriter(metadata: [
            "apus_kind": Self.kind, "apus_format_version": String(Self.formatVersion), "recipe": try json(recipe),
            "forest": try json(Facts(rowsPerTree: forest.rowsPerTree, trainedRows: trainedRows, settings: settings)),
        ])
        forest.ensemble.write(to: &writer, prefix: "isolation.")
        try writer.write(to: path)
    }

    /// Reads a model. Throws ``SystemError`` when the file can't be opened, ``DataError`` when it is damaged, of another
    /// kind, or written by a newer version.
    public init(path: String) throws {
        let file = try SafetensorsFile(path: path)
        try file.require(kind: Self.kind, newestVersion: Self.formatVersion)
        let facts: Facts = try file.decode("forest")
        recipe = try file.decode("recipe")
        let ensemble = try TreeEnsemble(
            file: file, prefix: "isolation.", kinds: recipe.features.map(\.treeKind), width: 1, groups: 1)
        guard facts.rowsPerTree >= 2, ensemble.treeCount > 0 else {
            throw DataError("the forest of the file is damaged", file: path)
        }
        forest = IsolationForest(ensemble: ensemble, rowsPerTree: facts.rowsPerTree)
        settings = facts.settings
        trainedRows = facts.trainedRows
    }
}
