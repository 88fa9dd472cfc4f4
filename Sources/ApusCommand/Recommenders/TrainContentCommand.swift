import ArgumentParser
import Core
import Learners
import Tables

/// `apus train content`
struct TrainContentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "content",
        abstract: "Train a recommender on attributes of the items: categories, numbers, texts.",
        discussion: """
            A person is the sum of what they have. Items of the attributes' file that have no interactions are in the \
            model, too, and recommended like the others. Items without attributes are never recommended; a person who \
            has nothing with attributes gets popular items.

            """ + AttributeFlags.discussion)

    @OptionGroup var flags: RecommenderFlags
    @OptionGroup var attributes: AttributeFlags
    @Option(help: "cosine, or pearson: of the deviations from each item's mean.")
    var similarity = ContentSimilarity.cosine
    @Option(help: "How values become weights: constant, linear or log.")
    var confidence: ConfidenceRule?

    func validate() throws {
        guard attributes.itemAttributes != nil else { throw ValidationError("--item-attributes FILE is needed") }
    }

    func run() throws {
        guard let table = try attributes.read(flags.global) else { return }
        try flags.run(
            { report in
                var options = ContentOptions()
                options.similarity = similarity
                options.confidence = confidence ?? flags.data.reading.confidence(report)
                return ContentLearner(table, options: options)
            },
            configure: { fitting, interactions in
                fitting.newItems = table.items.filter { interactions.items.index(of: $0) == nil }
                let known = Set(table.items)
                let without = interactions.items.strings.count { !known.contains($0) }
                if !fitting.newItems.isEmpty {
                    flags.global.remark("\(fitting.newItems.count) items have attributes and no interactions")
                }
                if without > 0 { flags.global.remark("\(without) items have no attributes and are not recommended") }
            })
    }
}

/// Attributes of items from a file.
struct AttributeFlags: ParsableArguments {
    static let discussion = """
        Columns of the attributes' file are taken for numbers when all of their values are, for categories when values \
        repeat or have bars between them (Comedy|Drama), for text when they are of several words; \
        --attribute-kind COLUMN=KIND says otherwise, none leaves a column out.
        """

    @Option(name: .customLong("item-attributes"), help: "File with a column of items and columns of attributes.")
    var itemAttributes: String?
    @Option(
        name: .customLong("attribute-columns"),
        help: "Columns of that file if it has no header: item,title,genres; - leaves one out.")
    var attributeColumns: String?
    @Option(name: .customLong("attribute-delimiter"), help: "What stands between its fields (default: found).")
    var attributeDelimiter: String?
    @Option(name: .customLong("attribute-kind"), help: "COLUMN=category, number, text or none; repeat.")
    var attributeKinds: [String] = []

    /// Reads the file, if one is named, and says what was taken for what.
    func read(_ global: GlobalOptions) throws -> ItemAttributes? {
        guard let itemAttributes else { return nil }
        var kinds: [String: AttributeKind] = [:]
        for pair in attributeKinds {
            guard let equals = pair.lastIndex(of: "="),
                let kind = AttributeKind(rawValue: String(pair[pair.index(after: equals)...]))
            else {
                throw ParameterError(
                    "--attribute-kind", "expects COLUMN=category, number, text or none, not `\(pair)`")
            }
            kinds[String(pair[..<equals])] = kind
        }
        let table = try ItemAttributes(
            path: itemAttributes,
            columns: attributeColumns.map {
                $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            },
            delimiter: attributeDelimiter == "\\t" ? "\t" : attributeDelimiter, kinds: kinds)
        global.remark(
            "attributes of \(table.items.count) items: "
                + table.columns.map { "\($0.name) (\($0.kind.rawValue))" }.joined(separator: ", ")
                + ", \(table.features.count) features")
        return table
    }
}

extension ContentSimilarity: ExpressibleByArgument {}
