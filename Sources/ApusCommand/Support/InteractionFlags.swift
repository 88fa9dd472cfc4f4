import ArgumentParser
import Core
import Learners
import Tables

/// A file of interactions and how it is read.
struct InteractionFlags: ParsableArguments {
    @Option(help: "File of interactions: CSV, TSV or JSON Lines, plain, gzip or zstd; - is standard input.")
    var interactions: String
    @OptionGroup var reading: ReadingFlags

    func read(needsTimes: Bool, _ global: GlobalOptions, _ progress: ProgressDisplay) throws -> Interactions {
        try reading.read(interactions, needsTimes: needsTimes, global, progress)
    }

    /// Reads and divides at once: the whole is not kept beside its parts.
    func readDivided(
        by split: (ReadReport) -> SplitOptions, needsTimes: Bool, _ global: GlobalOptions, _ progress: ProgressDisplay
    ) throws -> DividedInteractions {
        var whole: Interactions? = try read(needsTimes: needsTimes, global, progress)
        let (users, items, report, fingerprint) = (whole!.users, whole!.items, whole!.report, whole!.fingerprint)
        let parts = try InteractionSplit.dividing(&whole, by: split(report))
        return DividedInteractions(users: users, items: items, split: parts, report: report, fingerprint: fingerprint)
    }
}

/// Columns of a file in which people did something.
struct RoleFlags: ParsableArguments {
    @Option(name: .customLong("user-column"), help: "Name of the column of users (default: found by common names).")
    var userColumn: String?

    @Option(name: .customLong("value-column"), help: "Name of the column of values: ratings, quantities, amounts.")
    var valueColumn: String?

    @Option(name: .customLong("time-column"), help: "Name of the column of times.")
    var timeColumn: String?
}

/// How a file of interactions is read: the same flags wherever one is.
struct ReadingFlags: ParsableArguments {
    @OptionGroup var roles: RoleFlags

    @Option(name: .customLong("item-column"), help: "Name of the column of items.")
    var itemColumn: String?

    @Option(name: .customLong("event-column"), help: "Name of the column of event kinds.")
    var eventColumn: String?

    @Option(help: "Columns of a file without a header, in order: user,item,rating,time; - leaves one out.")
    var columns: String?

    @Option(help: "What stands between fields, :: for example (default: found).")
    var delimiter: String?

    @Option(name: .customLong("event-weight"), help: "Weight of a kind of event: purchase=5; repeat, * for the rest.")
    var eventWeights: [String] = []

    @Option(name: .customLong("half-life"), help: "Days in which an interaction loses half its weight.")
    var halfLife: Double?

    @Option(name: .customLong("minimum-value"), help: "Leave out rows with a smaller value.")
    var minimumValue: Float?

    @Option(name: .customLong("minimum-per-user"), help: "Leave out users with fewer items.")
    var minimumPerUser = 1

    @Option(name: .customLong("minimum-per-item"), help: "Leave out items with fewer users.")
    var minimumPerItem = 1

    @Option(help: "Several rows of one user and item: sum, last, max, error.")
    var duplicates = DuplicateRule.sum

    @Option(name: .customLong("on-bad-row"), help: "Rows that can't be read: fail or skip.")
    var onBadRow = BadRowRule.fail

    @Option(help: "Encoding of the text: detected, utf-8, gb18030, latin-1.")
    var encoding = TextEncoding.detected

    @Flag(help: "Keep a binary cache beside the file (FILE.apuscache) that opens in milliseconds.")
    var cache = false

    /// The options of the reader.
    func options(needsTimes: Bool, threads: Int?) throws -> InteractionOptions {
        var options = InteractionOptions()
        options.columns = InteractionColumns(
            user: roles.userColumn, item: itemColumn, value: roles.valueColumn, time: roles.timeColumn,
            event: eventColumn)
        options.headerlessColumns = columns.map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        options.delimiter = delimiter == "\\t" ? "\t" : delimiter
        for pair in eventWeights {
            guard let equals = pair.lastIndex(of: "="), let weight = Float(pair[pair.index(after: equals)...]),
                equals > pair.startIndex
            else { throw ValidationError("--event-weight expects KIND=WEIGHT, such as purchase=5, not `\(pair)`") }
            options.eventWeights[String(pair[..<equals])] = weight
        }
        options.halfLifeDays = halfLife
        options.minimumValue = minimumValue
        options.minimumPerUser = minimumPerUser
        options.minimumPerItem = minimumPerItem
        options.duplicates = duplicates
        options.onBadRow = onBadRow
        options.encoding = encoding
        options.needsTimes = needsTimes
        options.threads = threads ?? 0
        return options
    }

    /// Reads the file and says what was left out.
    func read(
        _ path: String, needsTimes: Bool, _ global: GlobalOptions, _ progress: ProgressDisplay
    ) throws -> Interactions {
        let options = try options(needsTimes: needsTimes, threads: global.threads)
        let data =
            cache && path != "-"
            ? try cached(path, options, global, progress)
            : try InteractionReader.read(path, options: options, progress: progress.handler)
        let report = data.report
        var remarks: [String] = []
        if report.rowsSkipped > 0 {
            let example = report.skippedExamples.first.map { " (line \($0.line): \($0.reason))" } ?? ""
            remarks.append("\(report.rowsSkipped) bad rows left out\(example)")
        }
        if report.rowsBelowMinimumValue > 0 {
            remarks.append("\(report.rowsBelowMinimumValue) rows below the minimum value")
        }
        if report.duplicatesMerged > 0 {
            remarks.append("\(report.duplicatesMerged) repeated pairs merged (\(duplicates.rawValue))")
        }
        if report.interactionsBelowMinimum > 0 {
            remarks.append(
                "\(report.interactionsBelowMinimum) interactions of \(report.usersBelowMinimum) users and "
                    + "\(report.itemsBelowMinimum) items below the minimum")
        }
        global.remark(
            "read \(report.rowsRead) rows: \(data.count) interactions of \(data.users.count) users and "
                + "\(data.items.count) items" + (remarks.isEmpty ? "" : "; " + remarks.joined(separator: ", ")))
        return data
    }

    private func cached(
        _ path: String, _ options: InteractionOptions, _ global: GlobalOptions, _ progress: ProgressDisplay
    ) throws -> Interactions {
        let (data, outcome) = try InteractionCache.read(path, options: options, progress: progress.handler)
        let file = InteractionCache.path(for: path)
        switch outcome {
        case .opened: global.remark("opened the cache \(file)")
        case .written(let refused): global.remark("wrote the cache \(file)" + (refused.map { " (\($0))" } ?? ""))
        case .notWritten(let reason): global.remark("warning: the cache \(file) was not written: \(reason)")
        }
        return data
    }
}

extension DuplicateRule: ExpressibleByArgument {}
extension BadRowRule: ExpressibleByArgument {}
extension TextEncoding: ExpressibleByArgument {}
extension SplitKind: ExpressibleByArgument {}
extension Feedback: ExpressibleByArgument {}
extension FactorizationSolver: ExpressibleByArgument {}
extension ConfidenceRule: ExpressibleByArgument {}
