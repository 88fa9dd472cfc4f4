import ArgumentParser
import Core
import Learners
import Tables

/// `apus embed`
struct EmbedCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed", abstract: "Write the vectors that a model gives to customers, items or pictures.",
        discussion: """
            Of a network on a table (net, wide-deep, rnn) or on pictures (cnn), --data names the rows: their vectors are \
            what the last layer is given. Of a recommender, --side: for models of `train sequence` a user's vector is the \
            state behind the latest item, for those of `train two-tower` what the person's items make of it, for models of \
            `train als` the vectors are the factors; products of users' vectors with items' are scores. A .npy file has a \
            row for each name in the order of --names; a CSV file begins its rows with the names.
            """)

    @Option(help: "The model file.")
    var model: String
    @Option(help: "Of a recommender: items or users (default: items).")
    var side: RecommenderSide?
    @OptionGroup var data: ModelDataFlags
    @Option(name: .customLong("id"), help: "Column that names the rows of --data (default: the first of identifiers).")
    var identifier: String?
    @Option(help: "File to write, .npy or .csv.")
    var output: String
    @Option(help: "File for the names of the rows, one a line, beside a .npy file.")
    var names: String?
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard output.hasSuffix(".npy") || output.hasSuffix(".csv") else {
            throw ValidationError("--output must end in .npy or .csv")
        }
    }

    func run() throws {
        try OutputFolder.check(output)
        let kind = try SavedModel(path: model)
        guard kind == .table || kind == .recommender else {
            throw DataError("this model gives no vectors", file: model)
        }
        guard (kind == .table) == (data.data != nil), kind == .recommender || side == nil else {
            throw ValidationError(
                kind == .table
                    ? "this is a model of a table: give --data, and no --side"
                    : "this is a recommender: give --side, and no --data")
        }
        let (label, vectors, name) = try kind == .table ? rows() : sides()
        try write(vectors, label, name)
        if global.json {
            Output.json(
                .object([
                    ("output", .string(output)), ("side", .string(side?.rawValue ?? label)),
                    ("rows", .integer(vectors.rows)), ("columns", .integer(vectors.columns)),
                ]))
        } else {
            global.remark("\(output): \(vectors.rows) vectors of \(vectors.columns) numbers")
        }
    }

    /// Vectors with what a row is, and its name.
    private typealias Named = (label: String, vectors: HostMatrix, name: (Int) -> String)

    private func rows() throws -> Named {
        let model = try TableModel(path: self.model)
        guard let network = model.pipeline.predictor as? NetworkPredictor else {
            throw DataError("a model of kind `\(model.kind)` has no vectors; networks have", file: self.model)
        }
        let progress = ProgressDisplay(quiet: global.quiet)
        let device = try deviceOption.open(global)
        let table = try data.read(for: model, global, progress)
        let context = LearningContext(
            stream: try device.makeStream(), threads: global.threads, progress: progress.handler)
        let vectors = try network.vectors(try model.pipeline.recipe.apply(table), context: context)
        ProgressDisplay.clearLine()
        let named = try identifier.map { try table.column($0) } ?? table.columns.first { $0.type == .identifier }
        return (named?.name ?? "row", vectors, { row in named.map { $0.text(row) ?? "" } ?? "\(row + 1)" })
    }

    private func sides() throws -> Named {
        let model = try RecommenderModel(path: self.model)
        let side = side ?? .items
        let identifiers = side == .items ? model.items : model.users
        let vectors: HostMatrix
        switch model.learned {
        case let factors as FactorizationFactors: vectors = side == .items ? factors.items : factors.users
        case let network as SequenceModel:
            vectors =
                side == .items
                ? network.items
                : try network.states(model.seen, stream: try deviceOption.open(global).makeStream())
        case let towers as TwoTowerTable:
            vectors =
                side == .items
                ? towers.items
                : try towers.people(model.seen, stream: try deviceOption.open(global).makeStream())
        default: throw DataError("a model of kind `\(model.kind)` has no vectors", file: self.model)
        }
        return (side == .items ? "item" : "user", vectors, { identifiers[$0] })
    }

    private func write(_ vectors: HostMatrix, _ label: String, _ name: (Int) -> String) throws {
        if output.hasSuffix(".npy") {
            try NumPyFile.write(vectors, to: output)
        } else {
            let file = try AtomicFile(path: output)
            try file.write(CSV.row([label] + (0..<vectors.columns).map { "v\($0)" }))
            for row in 0..<vectors.rows {
                try Interruption.check()
                try file.write(CSV.row([name(row)] + vectors.row(row).map { "\($0)" }))
            }
            try file.commit()
        }
        if let names {
            let file = try AtomicFile(path: names)
            for row in 0..<vectors.rows { try file.write(name(row) + "\n") }
            try file.commit()
        }
    }
}
