import Charts
import Core
import FoundationEssentials
import Tables

/// The profile of a table in words, JSON and pictures.
struct TableValidation {
    let path: String
    let profile: TableProfile
    let violations: [TableRules.Violation]
    let drift: TableDrift?
    let report: TableReadReport
    let seconds: Double
    let target: String?
    /// Limits of drift.
    let maximumPSI: Double
    let maximumKS: Double

    /// Columns that drifted past a limit.
    var drifted: [TableDrift.ColumnDrift] {
        (drift?.columns ?? []).filter { $0.psi > maximumPSI || ($0.kolmogorovSmirnov ?? 0) > maximumKS }
    }

    /// What the command fails with; nil when all is well.
    var failure: DataError? {
        var parts: [String] = []
        if !violations.isEmpty {
            parts.append("\(violations.count) rule\(violations.count == 1 ? " is" : "s are") broken")
        }
        if !drifted.isEmpty {
            let names = drifted.prefix(8).map { "\($0.name) (PSI \(fixed($0.psi, 2)))" }.joined(separator: ", ")
            parts.append("\(drifted.count) columns drifted past the limits: \(names)")
        }
        if let drift, !drift.lost.isEmpty { parts.append("columns are gone: \(drift.lost.joined(separator: ", "))") }
        if let drift, !drift.changedTypes.isEmpty { parts.append(drift.changedTypes.joined(separator: ", ")) }
        return parts.isEmpty ? nil : DataError(parts.joined(separator: "; "), file: path)
    }

    // MARK: Words

    func printWords() {
        Output.line(
            "\(path): \(profile.rows) rows of \(profile.columns.count) columns, \(profile.duplicateRows) repeated")
        Output.line("")
        Output.table(
            ["column", "type", "missing", "distinct", "minimum", "median", "mean", "maximum", "most frequent"],
            profile.columns.map { column in
                let dates = column.type == .date
                func shown(_ value: Double?) -> String {
                    value.map { dates ? CalendarTime.text(Int64($0)) : Markup.number($0) } ?? ""
                }
                return [
                    column.name, column.type.rawValue, "\(column.missing)", "\(column.distinct)", shown(column.minimum),
                    shown(column.quantiles.isEmpty ? nil : column.quantiles[3]), dates ? "" : shown(column.mean),
                    shown(column.maximum),
                    column.levels.prefix(3).map { "\(Markup.shortened($0.name, to: 16)) \($0.count)" }.joined(
                        separator: ", "),
                ]
            })
        if !profile.findings.isEmpty {
            Output.line("")
            for finding in profile.findings {
                Output.line("\(finding.kind): \(finding.column.map { "'\($0)' " } ?? "")\(finding.text)")
            }
        }
        if !profile.classes.isEmpty {
            Output.line("")
            Output.line(
                "classes of \(target ?? ""): "
                    + profile.classes.prefix(10).map { "\($0.name) \($0.count)" }.joined(separator: ", "))
            let told = profile.association.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(8)
            Output.line(
                "what tells it, alone: " + told.map { "\($0.key) \(fixed($0.value, 3))" }.joined(separator: ", "))
        }
        for violation in violations { Output.line("broken: " + Self.words(violation)) }
        guard let drift else { return }
        Output.line("")
        Output.table(
            ["column", "PSI", "KS", "missing before", "now", "new levels"],
            drift.columns.sorted { $0.psi > $1.psi }.map {
                [
                    $0.name, fixed($0.psi, 3), $0.kolmogorovSmirnov.map { fixed($0, 3) } ?? "",
                    fixed(100 * $0.missingBefore, 1) + "%", fixed(100 * $0.missingNow, 1) + "%",
                    $0.newLevels.prefix(3).joined(separator: ", "),
                ]
            })
        if !drift.gained.isEmpty { Output.line("new columns: \(drift.gained.joined(separator: ", "))") }
    }

    static func words(_ violation: TableRules.Violation) -> String {
        let place = violation.column.map { "\($0): " } ?? ""
        let rows = violation.rows > 0 ? " in \(violation.rows) rows, first in row \(violation.firstRow ?? 0)" : ""
        return "\(place)\(violation.rule)\(rows)\(violation.example.map { " (\($0))" } ?? "")"
    }

    // MARK: JSON

    func json() throws -> JSONValue {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        func encoded(_ value: some Encodable) throws -> JSONValue {
            .encoded(String(decoding: try encoder.encode(value), as: UTF8.self))
        }
        return .object([
            ("file", .string(path)), ("rows", .integer(profile.rows)),
            ("columns", .integer(profile.columns.count)), ("format", .string(report.format)),
            ("delimiter", .string(report.delimiter)), ("compression", .string(report.compression)),
            ("encoding", .string(report.encoding.rawValue)), ("bad_rows", .integer(report.rowsSkipped)),
            ("remarks", .array(report.sentences.map { .string($0) })), ("profile", try encoded(profile)),
            ("violations", try encoded(violations)), ("drift", try drift.map { try encoded($0) } ?? .null),
            ("drifted_columns", .array(drifted.map { .string($0.name) })), ("seconds", .number(seconds)),
        ])
    }

    // MARK: Page

    func page() -> String {
        var page = HTMLPage("Profile of \(path)")
        page.section("Overview")
        page.table(
            ["", ""],
            [
                ["rows", Markup.number(Double(profile.rows))], ["columns", "\(profile.columns.count)"],
                ["repeated rows", Markup.number(Double(profile.duplicateRows))],
                ["format", "\(report.format), \(report.encoding.rawValue)"],
            ])
        page.list(report.sentences)
        if !profile.findings.isEmpty {
            page.section("To look at")
            page.table(["kind", "column", "what"], profile.findings.map { [$0.kind, $0.column ?? "", $0.text] })
        }
        if !violations.isEmpty {
            page.section("Broken rules")
            page.list(violations.map(Self.words))
        }
        if let drift { write(drift, to: &page) }
        if !profile.classes.isEmpty, let target {
            page.section("Target: \(target)")
            page.picture(
                Chart.bars(
                    "Rows by class", names: profile.classes.prefix(20).map(\.name),
                    values: profile.classes.prefix(20).map { Double($0.count) }, axis: Axis("rows"), namesLabel: target)
            )
            let told = profile.association.filter { $0.value > 0.0005 }
                .sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(25)
            if !told.isEmpty {
                var chart = Chart.bars(
                    "What tells it, each column alone", names: told.map(\.key), values: told.map(\.value),
                    axis: Axis("share of the uncertainty explained"))
                chart.x.range = chart.horizontal ? 0...max(told[0].value * 1.05, 0.01) : nil
                page.picture(chart)
            }
        }
        page.section("Columns")
        page.table(
            [
                "column", "type", "missing", "distinct", "minimum", "5 %", "median", "mean", "95 %", "maximum",
                "skewness",
            ],
            profile.columns.map { column in
                let dates = column.type == .date
                func shown(_ value: Double?) -> String {
                    value.map { dates ? CalendarTime.text(Int64($0)) : Markup.number($0) } ?? ""
                }
                func quantile(_ place: Int) -> String { column.quantiles.isEmpty ? "" : shown(column.quantiles[place]) }
                return [
                    column.name, column.type.rawValue, Markup.number(Double(column.missing)),
                    Markup.number(Double(column.distinct)), shown(column.minimum), quantile(1), quantile(3),
                    dates ? "" : shown(column.mean), quantile(5), shown(column.maximum),
                    column.skewness.map { Markup.number(($0 * 100).rounded() / 100) } ?? "",
                ]
            })
        page.section("Distributions")
        page.pictures(profile.columns.compactMap(Self.picture))
        let names = Self.correlated(profile)
        if names.count >= 2 {
            page.section("Correlations")
            page.picture(Self.heatMap(profile, names).svg())
        }
        return page.rendered()
    }

    private func write(_ drift: TableDrift, to page: inout HTMLPage) {
        page.section("Drift")
        page.paragraph(
            "Limits: PSI \(Markup.number(maximumPSI)), Kolmogorov–Smirnov \(Markup.number(maximumKS)). Past them: \(drifted.isEmpty ? "none" : drifted.map(\.name).joined(separator: ", "))."
        )
        page.list(
            drift.lost.map { "Column '\($0)' is gone." } + drift.changedTypes
                + drift.gained.map { "Column '\($0)' is new." })
        page.table(
            ["column", "PSI", "KS", "missing before, %", "now, %", "new levels"],
            drift.columns.sorted { $0.psi > $1.psi }.map {
                [
                    $0.name, fixed($0.psi, 3), $0.kolmogorovSmirnov.map { fixed($0, 3) } ?? "",
                    fixed(100 * $0.missingBefore, 1), fixed(100 * $0.missingNow, 1),
                    $0.newLevels.joined(separator: ", "),
                ]
            })
    }

    private static func picture(_ column: TableProfile.ColumnProfile) -> String? {
        var chart: Chart
        if column.histogramCounts.count > 1, column.levels.isEmpty {
            chart = Chart(
                column.name, x: Axis(column.name, scale: column.type == .date ? .time : .linear),
                y: Axis("rows", includesZero: true),
                series: [
                    ChartSeries(
                        "", .histogram(edges: column.histogramEdges, heights: column.histogramCounts.map { Double($0) })
                    )
                ])
            chart.height = 280
        } else if column.levels.count > 1 {
            let shown = column.levels.prefix(12)
            chart = Chart.bars(
                column.name, names: shown.map(\.name), values: shown.map { Double($0.count) }, axis: Axis("rows"))
            if !chart.horizontal { chart.height = 280 }
        } else {
            return nil
        }
        chart.width = 520
        return chart.svg()
    }

    private static func correlated(_ profile: TableProfile) -> [String] {
        let numbers = profile.columns.filter { $0.type == .number || $0.type == .integer }.map(\.name)
        let known = Set(profile.correlations.flatMap { [$0.first, $0.second] })
        return numbers.filter { known.contains($0) }.prefix(30).map { $0 }
    }

    private static func heatMap(_ profile: TableProfile, _ names: [String]) -> HeatMap {
        let places = Dictionary(names.enumerated().map { ($1, $0) }) { first, _ in first }
        var values = names.map { _ in [Double](repeating: .nan, count: names.count) }
        for place in names.indices { values[place][place] = 1 }
        for pair in profile.correlations {
            guard let a = places[pair.first], let b = places[pair.second] else { continue }
            values[a][b] = pair.correlation
            values[b][a] = pair.correlation
        }
        return HeatMap("Correlations", rows: names, columns: names, values: values, range: -1...1, diverging: true)
    }
}
