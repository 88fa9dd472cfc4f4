import ArgumentParser
import Core
import Learners
import Tables

/// `apus validate`
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Read a file of interactions and say what is in it, and what is wrong.",
        discussion: "Exits with 65 at the first bad row; with --on-bad-row skip, counts them instead.")

    @OptionGroup var data: InteractionFlags
    @OptionGroup var global: GlobalOptions

    func run() throws {
        let started = monotonicSeconds()
        let interactions = try data.read(needsTimes: true, global, ProgressDisplay(quiet: global.quiet))
        let seconds = monotonicSeconds() - started
        let report = interactions.report
        let (users, items) = (degrees(interactions.byUser), degrees(interactions.byItem))
        let cells = Double(interactions.users.count) * Double(interactions.items.count)
        let members: [(String, JSONValue)] = [
            ("file", .string(data.interactions)), ("format", .string(report.format)),
            ("delimiter", .string(report.delimiter)), ("compression", .string(report.compression)),
            ("encoding", .string(report.encoding.rawValue)), ("bytes_of_text", .integer(report.bytesOfText)),
            (
                "columns",
                .object(report.columnsByRole.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
            ),
            ("rows", .integer(report.rowsRead)), ("bad_rows", .integer(report.rowsSkipped)),
            ("rows_below_minimum_value", .integer(report.rowsBelowMinimumValue)),
            ("duplicates_merged", .integer(report.duplicatesMerged)),
            ("interactions", .integer(interactions.count)), ("users", .integer(interactions.users.count)),
            ("items", .integer(interactions.items.count)),
            ("density", .number(Double(interactions.count) / max(cells, 1))),
            ("smallest_value", .number(Double(report.minimumValueSeen))),
            ("largest_value", .number(Double(report.maximumValueSeen))),
            ("first_time", report.minimumTimeSeen.map { .integer(Int($0)) } ?? .null),
            ("last_time", report.maximumTimeSeen.map { .integer(Int($0)) } ?? .null),
            ("interactions_per_user", quantiles(users)), ("interactions_per_item", quantiles(items)),
            ("share_of_top_1_percent_of_items", .number(topShare(items))), ("seconds", .number(seconds)),
        ]
        if global.json {
            let examples: [JSONValue] = report.skippedExamples.map {
                .object([("line", .integer($0.line)), ("column", .optional($0.column)), ("reason", .string($0.reason))])
            }
            Output.json(.object(members + [("bad_row_examples", .array(examples))]))
        } else {
            for (name, value) in members {
                if case .string(let text) = value {
                    Output.line("\(name): \(text)")
                } else {
                    Output.line("\(name): \(value.text)")
                }
            }
            for example in report.skippedExamples { Output.line("bad row: line \(example.line): \(example.reason)") }
        }
    }

    private func degrees(_ matrix: HostSparseMatrix) -> [Int] {
        (0..<matrix.rows).map { matrix.range(ofRow: $0).count }.sorted()
    }

    private func quantiles(_ sorted: [Int]) -> JSONValue {
        guard let last = sorted.last else { return .null }
        func at(_ share: Double) -> JSONValue { .integer(sorted[Int(share * Double(sorted.count - 1))]) }
        return .object([
            ("minimum", .integer(sorted[0])), ("median", at(0.5)),
            ("mean", .number(Double(sorted.reduce(0, +)) / Double(sorted.count))), ("p90", at(0.9)),
            ("maximum", .integer(last)),
        ])
    }

    /// Share of the interactions that the most popular hundredth of the items has.
    private func topShare(_ sorted: [Int]) -> Double {
        let top = sorted.suffix(max(1, sorted.count / 100)).reduce(0, +)
        return Double(top) / Double(max(sorted.reduce(0, +), 1))
    }
}
