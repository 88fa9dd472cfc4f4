import ArgumentParser
import Core
import Learners
import Tables

/// `apus embed`
struct EmbedCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed", abstract: "Write the vectors that a model gives to items or users.",
        discussion: """
            For models of `train sequence` a user's vector is the state behind the latest item; products of it with the \
            items' vectors are scores. For models of `train als` the vectors are the factors. A .npy file has a row for \
            each name in the order of --names; a CSV file begins its rows with the names.
            """)

    @Option(help: "The model file.")
    var model: String
    @Option(help: "items or users.")
    var side = RecommenderSide.items
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
        let model = try RecommenderModel(path: self.model)
        let identifiers = side == .items ? model.items : model.users
        let vectors: HostMatrix
        switch model.learned {
        case let factors as FactorizationFactors: vectors = side == .items ? factors.items : factors.users
        case let network as SequenceModel:
            vectors =
                side == .items
                ? network.items
                : try network.states(model.seen, stream: try deviceOption.open(global).makeStream())
        default: throw DataError("a model of kind `\(model.kind)` has no vectors", file: self.model)
        }
        if output.hasSuffix(".npy") {
            try NumPyFile.write(vectors, to: output)
        } else {
            let file = try AtomicFile(path: output)
            try file.write(CSV.row([side == .items ? "item" : "user"] + (0..<vectors.columns).map { "v\($0)" }))
            for row in 0..<vectors.rows {
                try Interruption.check()
                try file.write(CSV.row([identifiers[row]] + vectors.row(row).map { "\($0)" }))
            }
            try file.commit()
        }
        if let names {
            let file = try AtomicFile(path: names)
            for row in 0..<vectors.rows { try file.write(identifiers[row] + "\n") }
            try file.commit()
        }
        if global.json {
            Output.json(
                .object([
                    ("output", .string(output)), ("side", .string(side.rawValue)), ("rows", .integer(vectors.rows)),
                    ("columns", .integer(vectors.columns)),
                ]))
        } else {
            global.remark("\(output): \(vectors.rows) vectors of \(vectors.columns) numbers")
        }
    }
}
