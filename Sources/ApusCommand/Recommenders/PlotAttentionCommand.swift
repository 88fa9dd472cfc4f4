import ArgumentParser
import Charts
import Core
import Learners

/// `apus plot attention`
struct PlotAttentionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attention", abstract: "What a sequence model looks at: for each item of a user, those before it.",
        discussion: """
            A row is an item of the user's sequence, and its cells are the shares of attention that it gives to itself \
            and the items before it.
            """)

    @Option(help: "The model file, of `apus train sequence`.")
    var model: String
    @Option(help: "A user of the model.")
    var user: String?
    @Option(help: "The items of a new user in place of --user, the earliest first: a,b,c or @FILE.")
    var items: String?
    @Option(help: "Block of the network, counted from 1.")
    var layer = 1
    @Option(help: "Head of the block, counted from 1 (default: the mean of all).")
    var head: Int?
    @Option(help: "Latest items that are drawn.")
    var count = 20
    @Option(help: "Title of the picture.")
    var title: String?
    @Option(help: ArgumentHelp("File to write, .svg or .html.", valueName: "file"))
    var output: String
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard (user != nil) != (items != nil) else { throw ValidationError("give --user or --items") }
        guard count >= 1 else { throw ValidationError("--count must be 1 or more, not \(count)") }
    }

    func run() throws {
        try OutputFolder.check(output)
        let session = try ModelSession(path: model, device: deviceOption, global: global)
        guard let learned = session.model.learned as? SequenceModel else {
            throw DataError("expected a model of kind `sequence`, found `\(session.model.kind)`", file: model)
        }
        let sequence =
            try items.map(session.items)
            ?? SequenceModel.order(session.model.seen, row: Int(session.user(user ?? "")))
        let layers = try learned.attention(sequence, stream: session.stream)
        guard layers.indices.contains(layer - 1) else {
            throw ValidationError("--layer \(layer): the model has \(layers.count)")
        }
        let heads = layers[layer - 1]
        if let head, !heads.indices.contains(head - 1) {
            throw ValidationError("--head \(head): the model has \(heads.count)")
        }
        let chosen = head.map { [heads[$0 - 1]] } ?? heads
        let read = sequence.suffix(heads[0].rows)
        let shown = min(count, read.count)
        let places = read.count - shown..<read.count
        let values = places.map { row in
            places.map { column in
                column > row
                    ? Double.nan : chosen.reduce(0.0) { $0 + Double($1[row, column]) } / Double(chosen.count)
            }
        }
        let names = read.suffix(shown).map { session.model.title(of: Int($0)) }
        let title =
            title ?? "attention of block \(layer), "
            + (head.map { "head \($0)" } ?? "mean of \(heads.count) heads") + (user.map { ", user \($0)" } ?? "")
        var picture = HeatMap(title, rows: names, columns: names, values: values, range: 0...1)
        picture.rowsLabel = "looks"
        picture.columnsLabel = "at"
        let file = try AtomicFile(path: output)
        if output.lowercased().hasSuffix(".html") {
            var page = HTMLPage(title)
            page.picture(picture.svg())
            try file.write(page.rendered())
        } else {
            try file.write(picture.svg())
        }
        try file.commit()
        if global.json {
            Output.json(
                .object([
                    ("output", .string(output)), ("items", .array(names.map { .string($0) })),
                    ("attention", .array(values.map { .array($0.map { $0.isNaN ? .null : .number($0) }) })),
                ]))
        } else {
            global.remark("wrote \(output)")
        }
    }
}
