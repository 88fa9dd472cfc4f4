import ArgumentParser
import Core
import Learners
import Tables

/// `apus fold-in`
struct FoldInCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fold-in", abstract: "Add new interactions, users and items to a model without retraining.",
        discussion: """
            Everyone in the file gets factors from the whole history, items that the model does not know get factors \
            from who has them; everything else stays as it was, to the bit. Models that know people by what they have \
            (neighbors, ease, content, popular, hybrids of those) take users and interactions in, but no new items. Train \
            again when much has changed: what was learned of the known items is held.
            """)

    @Option(help: "The model file.")
    var model: String
    @OptionGroup var data: InteractionFlags
    @Option(help: "The model file to write; may be the same.")
    var output: String
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func run() throws {
        try OutputFolder.check(output)
        MemoryMeter.start()
        let started = monotonicSeconds()
        let old = try RecommenderModel(path: model)
        let device = try deviceOption.open(global)
        let interactions = try data.read(needsTimes: false, global, ProgressDisplay(quiet: global.quiet))
        let loaded = monotonicSeconds()
        let (new, counts) = try old.foldingIn(interactions, stream: try device.makeStream())
        let folded = monotonicSeconds()
        try Interruption.check()
        try new.save(to: output)
        if global.json {
            Output.json(
                .object([
                    ("model", .string(output)), ("device", .string(device.identity.name)),
                    ("users", .integer(new.users.count)), ("items", .integer(new.items.count)),
                    ("interactions", .integer(interactions.count)), ("new_users", .integer(counts.newUsers)),
                    ("new_items", .integer(counts.newItems)), ("updated_users", .integer(counts.updatedUsers)),
                    (
                        "seconds",
                        .object([
                            ("load", .number(loaded - started)), ("compile", .number(device.compileSeconds)),
                            ("fold_in", .number(folded - loaded)),
                        ])
                    ), ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
                ]))
        } else {
            Output.line(
                "\(output): \(counts.newUsers) new users, \(counts.updatedUsers) updated, \(counts.newItems) new items; "
                    + "now \(new.users.count) users and \(new.items.count) items")
        }
    }
}
