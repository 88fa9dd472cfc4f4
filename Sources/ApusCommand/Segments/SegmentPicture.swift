import Charts
import Core
import Learners
import Tables

/// Segments for people: a picture along two principal components, a chart of profiles, a page with both.
struct SegmentPicture {
    let points: HostMatrix
    let labels: [Int32]
    let descriptions: [SegmentDescription]
    let table: Table
    let choice: ClusterChoice?

    /// Rows drawn at most.
    private static let most = 2000

    func components(_ components: PrincipalComponents) -> Chart {
        let step = max(1, (points.rows + Self.most - 1) / Self.most)
        var series = descriptions.map { ChartSeries("\($0.segment) \($0.name)", .points([])) }
        var drawn = [[(x: Double, y: Double)]](repeating: [], count: descriptions.count)
        for row in stride(from: 0, to: points.rows, by: step) where labels[row] >= 0 {
            let place = components.coordinates(points.row(row))
            drawn[Int(labels[row])].append((place[0], place.count > 1 ? place[1] : 0))
        }
        for segment in series.indices { series[segment].form = .points(drawn[segment]) }
        func axis(_ number: Int) -> Axis {
            let share = components.shares.count > number ? 100 * components.shares[number] : 0
            return Axis("component \(number + 1) (\(fixed(share, 0)) % of the variance)")
        }
        return Chart("Segments along two principal components", x: axis(0), y: axis(1), series: series)
    }

    /// How far each segment's mean lies from the others', in standard deviations.
    func profile() -> HeatMap {
        var features: [String] = []
        for description in descriptions {
            for difference in description.differences where abs(difference.effect) >= 0.2 {
                let name = Self.feature(difference)
                if !features.contains(name) { features.append(name) }
            }
        }
        let strongest = features.map { name -> (String, Double) in
            (name, descriptions.map { abs(Self.effect($0, name)) }.max() ?? 0)
        }.sorted { $0.1 > $1.1 }.prefix(14).map(\.0)
        return HeatMap(
            "What sets segments apart (effect against everybody else)",
            rows: descriptions.map { "\($0.segment) \($0.name)" }, columns: strongest.isEmpty ? ["–"] : strongest,
            values: descriptions.map { one in strongest.isEmpty ? [0] : strongest.map { Self.effect(one, $0) } },
            diverging: true)
    }

    private static func effect(_ description: SegmentDescription, _ name: String) -> Double {
        description.differences.first { feature($0) == name }?.effect ?? 0
    }

    private static func feature(_ difference: SegmentDescription.Difference) -> String {
        difference.level.map { "\(difference.feature) \($0)" } ?? difference.feature
    }

    func page(_ components: PrincipalComponents, path: String) -> HTMLPage {
        var page = HTMLPage("Segments of \(path)")
        page.paragraph(
            "\(labels.count) rows in \(descriptions.count) segments. Effects compare a segment with everybody else: 0.2 is small, 0.5 medium, 0.8 large."
        )
        page.section("Overview")
        let withMoney = descriptions.contains { $0.revenueShare != nil }
        page.table(
            ["segment", "name", "size", "share"] + (withMoney ? ["revenue"] : []) + ["rule", "covers", "right"],
            descriptions.map { one in
                [String(one.segment), one.name, String(one.size), fixed(100 * one.share, 1) + "%"]
                    + (withMoney ? [fixed(100 * (one.revenueShare ?? .nan), 1) + "%"] : [])
                    + [one.rule, fixed(100 * one.ruleRecall, 0) + "%", fixed(100 * one.rulePrecision, 0) + "%"]
            })
        page.picture(self.components(components))
        page.picture(profile().svg())
        let numeric = table.columns.filter { $0.type.isNumeric }.map(\.name)
        if !numeric.isEmpty {
            page.section("Means")
            page.table(
                ["segment"] + numeric,
                descriptions.map { one in
                    ["\(one.segment) \(one.name)"] + numeric.map { fixed(one.center[$0] ?? .nan, 2) }
                })
        }
        page.section("Segments")
        for one in descriptions {
            page.heading("\(one.segment) \(one.name)")
            page.paragraph("\(one.size) rows, for example \(one.examples.joined(separator: ", ")). Rule: \(one.rule).")
            page.list(one.differences.prefix(6).map(Self.sentence))
        }
        if let choice {
            page.section("Number of segments")
            for chart in ChooseClustersCommand.charts(choice) { page.picture(chart) }
        }
        return page
    }

    static func sentence(_ difference: SegmentDescription.Difference) -> String {
        let interval =
            "effect \(fixed(difference.effect, 2)) [\(fixed(difference.low, 2)), \(fixed(difference.high, 2))]"
        if let level = difference.level {
            return
                "\(difference.feature) is \(level): \(fixed(100 * difference.mean, 1)) % against \(fixed(100 * difference.othersMean, 1)) %, \(interval)"
        }
        return
            "\(difference.feature): \(fixed(difference.mean, 2)) against \(fixed(difference.othersMean, 2)), \(interval)"
    }

    static func json(_ one: SegmentDescription) -> JSONValue {
        .object([
            ("segment", .integer(one.segment)), ("name", .string(one.name)), ("size", .integer(one.size)),
            ("share", .number(one.share)), ("revenue_share", one.revenueShare.map { .number($0) } ?? .null),
            ("rule", .string(one.rule)), ("rule_recall", .number(one.ruleRecall)),
            ("rule_precision", .number(one.rulePrecision)),
            ("center", .object(one.center.sorted { $0.key < $1.key }.map { ($0.key, .number($0.value)) })),
            ("examples", .array(one.examples.map { .string($0) })),
            (
                "differences",
                .array(
                    one.differences.prefix(20).map {
                        .object([
                            ("feature", .string($0.feature)), ("level", .optional($0.level)),
                            ("mean", .number($0.mean)),
                            ("others_mean", .number($0.othersMean)), ("effect", .number($0.effect)),
                            ("interval", .array([.number($0.low), .number($0.high)])),
                        ])
                    })
            ),
        ])
    }
}
