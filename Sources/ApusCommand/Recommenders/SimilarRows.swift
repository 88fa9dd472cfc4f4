import ArgumentParser
import Core
import Devices
import Learners
import Tables

/// `apus similar --interactions`: neighbors straight from a file, without a model.
struct SimilarRowsFlags: ParsableArguments {
    @Option(help: "File of interactions, to compare users or items without a model.")
    var interactions: String?
    @Option(help: "Whom to compare: users or items; with --interactions.")
    var between = RecommenderSide.items
    @OptionGroup var comparing: SimilarityFlags

    /// Finds the neighbors of one row, or of all.
    func run(
        _ path: String, by similarity: Similarity, of name: String?, count: Int, output: String?, reading: ReadingFlags,
        deviceOption: DeviceOption, global: GlobalOptions
    ) throws {
        if let output { try OutputFolder.check(output) }
        MemoryMeter.start()
        let started = monotonicSeconds()
        let device = try deviceOption.open(global)
        let progress = ProgressDisplay(quiet: global.quiet)
        let data = try reading.read(path, needsTimes: false, global, progress)
        let loaded = monotonicSeconds()
        var options = comparing.options(similarity)
        options.side = between
        options.neighbors = count
        options.confidence = comparing.confidence ?? reading.confidence(data.report)
        let names = between == .users ? data.users : data.items
        let rows = try NeighborLists(
            data, options: options, threads: RecommenderContext.hostThreads(device), progress: progress.handler)
        ProgressDisplay.clearLine()
        let compared = monotonicSeconds()
        var chosen = Array(0..<names.count)
        if let name {
            guard let index = names.index(of: name) else {
                throw DataError("`\(name)` is not among the \(between.rawValue) of the file", file: path)
            }
            chosen = [index]
        }
        let alone = chosen.count { rows.list(of: $0).isEmpty }
        if alone > 0 {
            global.remark(
                "\(alone) of \(chosen.count) \(between.rawValue) have no neighbors: nothing in common with others, or "
                    + "no variation")
        }
        let side = between == .users ? "user" : "item"
        if let output {
            let file = try AtomicFile(path: output)
            try file.write(CSV.row([side, "rank", "neighbor", "similarity"]))
            for row in chosen {
                try Interruption.check()
                let name = CSV.field(names[row])
                var text = ""
                for (rank, entry) in rows.list(of: row).enumerated() {
                    text += "\(name),\(rank + 1),\(CSV.field(names[Int(entry.item)])),\(entry.score)\n"
                }
                try file.write(text)
            }
            try file.commit()
        }
        let pairs = chosen.reduce(0) { $0 + rows.list(of: $1).count }
        if global.json {
            var members: [(String, JSONValue)] = [
                ("between", .string(between.rawValue)), ("similarity", .string(options.similarity.rawValue)),
                ("count", .integer(count)), ("users", .integer(data.users.count)),
                ("items", .integer(data.items.count)),
                ("interactions", .integer(data.count)), ("rows", .integer(chosen.count)), ("pairs", .integer(pairs)),
                ("without_neighbors", .integer(alone)), ("output", .optional(output)),
                ("device", .string(device.identity.name)),
                ("host_work", "products of sparse rows, choice of the best"),
                (
                    "seconds",
                    .object([
                        ("load", .number(loaded - started)), ("compare", .number(compared - loaded)),
                        ("total", .number(monotonicSeconds() - started)),
                    ])
                ), ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
            ]
            if output == nil {
                members.append(
                    (
                        "neighbors",
                        .array(
                            chosen.map { row in
                                .object([
                                    (side, .string(names[row])),
                                    (
                                        "similar",
                                        .array(
                                            rows.list(of: row).map {
                                                .object([
                                                    (side, .string(names[Int($0.item)])),
                                                    ("similarity", .number(Double($0.score))),
                                                ])
                                            })
                                    ),
                                ])
                            })
                    ))
            }
            Output.json(.object(members))
        } else if let output {
            Output.line(
                "\(output): \(pairs) neighbors of \(chosen.count) \(between.rawValue) by \(options.similarity.rawValue), "
                    + "compared in \(duration(compared - loaded))")
        } else {
            for row in chosen {
                Output.line(names[row])
                Output.table(
                    ["rank", side, "similarity"],
                    rows.list(of: row).enumerated().map { rank, entry in
                        [String(rank + 1), names[Int(entry.item)], fixed(Double(entry.score), 4)]
                    })
            }
        }
    }
}
