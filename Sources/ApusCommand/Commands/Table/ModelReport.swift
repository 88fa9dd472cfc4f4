import Charts
import Core
import Learners
import Tables

/// The page about a model.
struct ModelReport {
    let model: TableModel
    let judged: JudgedRows
    let decision: DecisionValue?
    let title: String
    let curves: Int
    let context: LearningContext

    private var positive: String { model.task.labels.last ?? "" }
    private var output: Int { model.task.kind == .binary ? 1 : 0 }

    func rendered() throws -> String {
        var page = HTMLPage(title)
        summary(&page)
        quality(&page)
        if model.task.kind == .binary { binaryCharts(&page) }
        if model.task.kind == .multiclass { confusion(&page) }
        if model.task.kind == .regression { regressionCharts(&page) }
        let important = try importances(&page)
        coefficients(&page)
        page.extend(ModelPictures.pictures(of: model))
        try dependence(&page, important)
        try examples(&page)
        details(&page)
        return page.rendered()
    }

    private func summary(_ page: inout HTMLPage) {
        let provenance = model.provenance
        page.section("The model")
        page.table(
            ["", ""],
            [
                ["learner", type(of: model.learner).title], ["target", model.roles.target],
                ["classes", model.task.isClassification ? model.task.labels.joined(separator: ", ") : "a number"],
                ["rows learned from", "\(provenance.trainedRows)"], ["judged here", judged.sentence],
                ["features", "\(model.pipeline.recipe.features.count)"],
                ["calibration", model.pipeline.calibration?.kind.rawValue ?? "none"],
                ["Apus", provenance.apusVersion],
            ])
        if judged.hasLearnedFrom {
            page.paragraph("The model has learned from these rows: the figures below are too good.")
        }
        page.list(provenance.notes)
    }

    private func quality(_ page: inout HTMLPage) {
        page.section("How good it is")
        let evaluation = judged.evaluation
        page.table(
            ["figure", "model", "95 % interval"] + evaluation.baselines.map(\.name),
            evaluation.metrics.map { metric in
                [
                    metric.name, fixed(metric.value.value, 4),
                    "\(fixed(metric.value.low, 4)) – \(fixed(metric.value.high, 4))",
                ]
                    + evaluation.baselines.map { baseline in
                        baseline.metrics.first { $0.name == metric.name }.map { fixed($0.value.value, 4) } ?? ""
                    }
            })
        page.paragraph(
            model.task.isClassification
                ? "Majority: somebody who knows only how frequent the classes are among the rows learned from."
                : "Mean: somebody who knows only the mean of the rows learned from.")
    }

    private func binaryCharts(_ page: inout HTMLPage) {
        let evaluation = judged.evaluation
        typealias Points = [(x: Double, y: Double)]
        let share = Axis("false positive rate", range: 0...1)
        let rocPoints: Points = evaluation.rocCurve.map { (x: $0.x, y: $0.y) }
        let recallPoints: Points = evaluation.precisionRecallCurve.map { (x: $0.x, y: $0.y) }
        var gainPoints: Points = [(x: 0, y: 0)]
        for decile in evaluation.deciles {
            gainPoints.append((x: 10 * Double(decile.decile), y: 100 * decile.cumulativeGain))
        }
        let calibrationPoints: Points = evaluation.calibration.map { (x: $0.probability, y: $0.share) }
        let roc = Chart(
            "ROC curve", x: share, y: Axis("true positive rate", range: 0...1),
            series: [
                ChartSeries(
                    "model, area \(fixed(evaluation.metric("roc_auc") ?? .nan, 3))",
                    .line(rocPoints)),
                ChartSeries("at random", .line([(0, 0), (1, 1)]), dashed: true),
            ])
        let recall = Chart(
            "Precision and recall", x: Axis("recall", range: 0...1), y: Axis("precision", range: 0...1),
            series: [
                ChartSeries("model", .line(recallPoints)),
                ChartSeries(
                    "at random", .line([(0, positiveShare), (1, positiveShare)]), dashed: true),
            ])
        let gain = Chart(
            "Gain: share of all \(positive) found",
            x: Axis("share of rows contacted, likeliest first", unit: "%", range: 0...100),
            y: Axis("found", unit: "%", range: 0...100),
            series: [
                ChartSeries(
                    "model", .line(gainPoints)),
                ChartSeries("at random", .line([(0, 0), (100, 100)]), dashed: true),
            ])
        var lift = Chart.bars(
            "Lift by tenth of the rows", names: evaluation.deciles.map { "\($0.decile)" },
            values: evaluation.deciles.map(\.lift), axis: Axis("rate over the average rate", unit: "×"),
            namesLabel: "tenth, likeliest first")
        lift.series.append(
            ChartSeries("average", .line([(-0.5, 1), (Double(evaluation.deciles.count) - 0.5, 1)]), dashed: true))
        let calibration = Chart(
            "Calibration", x: Axis("mean probability", range: 0...1), y: Axis("share of \(positive)", range: 0...1),
            series: [
                ChartSeries("model, by tenths", .line(calibrationPoints)),
                ChartSeries("", .points(calibrationPoints)),
                ChartSeries("exact", .line([(0, 0), (1, 1)]), dashed: true),
            ])
        page.pictures(
            [roc, recall, gain, lift, calibration, scores()].map { chart in
                var chart = chart
                (chart.width, chart.height) = (520, 380)
                return chart.svg()
            })
        page.table(
            ["tenth", "rows", "mean probability", positive, "rate", "lift", "gain"],
            evaluation.deciles.map {
                [
                    "\($0.decile)", fixed($0.weight, 0), fixed($0.meanProbability, 4), fixed($0.positives, 0),
                    fixed($0.rate, 4), fixed($0.lift, 2), fixed($0.cumulativeGain, 4),
                ]
            })
        confusion(&page)
        if let decision { profit(&page, decision) }
    }

    private var positiveShare: Double {
        judged.data.target.reduce(0, +) / Double(max(judged.data.rows, 1))
    }

    /// Probabilities of both classes as histograms, each class with an area of 1.
    private func scores() -> Chart {
        let bins = 20
        var heights = [[Double]](repeating: [Double](repeating: 0, count: bins), count: 2)
        for row in 0..<judged.data.rows {
            let bin = min(Int(Double(judged.predictions[row, 1]) * Double(bins)), bins - 1)
            heights[Int(judged.data.target[row])][bin] += 1
        }
        let edges = (0...bins).map { Double($0) / Double(bins) }
        return Chart(
            "Probabilities by class", x: Axis("probability of \(positive)", range: 0...1),
            y: Axis("share of the class", unit: "%", includesZero: true),
            series: model.task.labels.enumerated().map { place, label in
                let total = max(heights[place].reduce(0, +), 1)
                let shares = heights[place].map { 100 * $0 / total }
                return ChartSeries(
                    label, .steps(zip(edges, shares + [shares.last ?? 0]).map { ($0, $1) }), dashed: place == 0)
            })
    }

    private func confusion(_ page: inout HTMLPage) {
        let labels = model.task.labels
        guard labels.count <= 40 else { return }
        let k = labels.count
        let counts = judged.evaluation.confusion
        var map = HeatMap(
            "Confusion", rows: labels, columns: labels,
            values: (0..<k).map { row in
                let total = (0..<k).reduce(0.0) { $0 + counts[row * k + $1] }
                return (0..<k).map { total > 0 ? counts[row * k + $0] / total : .nan }
            }, range: 0...1)
        (map.rowsLabel, map.columnsLabel) = ("actual", "said")
        page.picture(map.svg())
        if k == 2 {
            page.table(
                ["actual", "said \(labels[0])", "said \(labels[1])"],
                (0..<2).map { [labels[$0], fixed(counts[2 * $0], 0), fixed(counts[2 * $0 + 1], 0)] })
            page.paragraph(
                "From probability \(fixed(model.threshold, 4)) on a row is said to be \(positive).")
        }
    }

    private func profit(_ page: inout HTMLPage, _ decision: DecisionValue) {
        let best = SupervisedEvaluation.profit(
            judged.predictions, target: judged.data.target, weights: judged.data.weights, value: decision)
        let points = (0...50).map { step -> (x: Double, y: Double) in
            let threshold = Double(step) / 50
            return (
                threshold,
                SupervisedEvaluation.profit(
                    judged.predictions, target: judged.data.target, weights: judged.data.weights, value: decision,
                    threshold: threshold)
            )
        }
        page.heading("Profit")
        page.paragraph(ProfitReport.sentence(best) + ".")
        page.picture(
            Chart(
                "Profit along the threshold", x: Axis("contacted from probability", range: 0...1),
                y: Axis("profit on the rows judged", unit: "in the unit of --value"),
                series: [ChartSeries("profit", .line(points))]))
    }

    private func regressionCharts(_ page: inout HTMLPage) {
        let rows = judged.data.rows
        let step = max(1, rows / 2000)
        let points = stride(from: 0, to: rows, by: step).map {
            (x: Double(judged.predictions[$0, 0]), y: judged.data.target[$0])
        }
        let low = points.flatMap { [$0.x, $0.y] }.min() ?? 0
        let high = points.flatMap { [$0.x, $0.y] }.max() ?? 1
        let target = model.roles.target
        page.pictures([
            Chart(
                "Predicted and actual", x: Axis("predicted \(target)"), y: Axis("actual \(target)"),
                series: [
                    ChartSeries("rows", .points(points)),
                    ChartSeries("exact", .line([(low, low), (high, high)]), dashed: true),
                ]
            ).svg(),
            Chart.histogram(
                "Errors", (0..<rows).map { Double(judged.predictions[$0, 0]) - judged.data.target[$0] },
                axis: Axis("predicted − actual \(target)")
            ).svg(),
        ])
    }

    /// The columns by permutation importance.
    private func importances(_ page: inout HTMLPage) throws -> [String] {
        page.section("What it goes by")
        let found = try PermutationImportance.measure(
            model.pipeline, on: judged.data, seed: model.provenance.seed, context: context)
        let shown = Array(found.columns.prefix(20))
        page.paragraph(
            "How much \(found.metric) loses when a column's values are dealt out to other rows (mean and deviation of five "
                + "deals).")
        var chart = Chart.bars(
            "Importance of the columns", names: shown.map(\.column), values: shown.map(\.loss),
            axis: Axis("loss of \(found.metric)"),
            intervals: shown.map { $0.loss - $0.deviation...$0.loss + $0.deviation })
        if !chart.horizontal {
            swap(&chart.x, &chart.y)
            chart.horizontal = true
            chart.height = 110 + 22 * Double(shown.count)
        }
        page.picture(chart)
        if let own = model.pipeline.predictor.importances {
            let names = model.pipeline.recipe.features.map(\.name)
            let ordered = own.values.indices.sorted { own.values[$0] > own.values[$1] }.prefix(20)
            page.heading("Features by \(own.measure)")
            page.table(["feature", own.measure], ordered.map { [names[$0], fixed(own.values[$0], 4)] })
        }
        return found.columns.map(\.column)
    }

    private func coefficients(_ page: inout HTMLPage) {
        guard let all = model.pipeline.predictor.coefficients, !all.isEmpty else { return }
        let ordered = all.filter { $0.feature != "(intercept)" }.sorted { abs($0.value) > abs($1.value) }.prefix(30)
        page.heading("Coefficients")
        page.paragraph("The largest effects of a feature (standardised where the recipe does so) on the score.")
        page.table(
            ["feature", "class", "coefficient", "95 % interval"],
            ordered.map {
                [
                    $0.feature, $0.label ?? "", fixed($0.value, 4),
                    $0.interval.map { "\(fixed($0.low, 4)) – \(fixed($0.high, 4))" } ?? "",
                ]
            })
    }

    private func dependence(_ page: inout HTMLPage, _ important: [String]) throws {
        guard curves > 0 else { return }
        let what = model.task.isClassification ? "probability of \(model.task.labels[output])" : model.roles.target
        let readable = important.filter {
            judged.data.table[$0].map { $0.type != .text && $0.type != .identifier } ?? false
        }
        guard !readable.isEmpty else { return }
        page.section("Along single columns")
        page.paragraph(
            "The average prediction if all rows had the same value of a column, and their own of the others.")
        let pictures = try readable.prefix(curves).map { column -> String in
            let curve = try PartialDependence.measure(
                model.pipeline, on: judged.data.table, column: column, output: output, seed: model.provenance.seed,
                context: context)
            let isNumber = judged.data.table[column]?.type.isNumeric ?? false
            var chart: Chart
            if isNumber, curve.points.count > 2 {
                chart = Chart(
                    column, x: Axis(column), y: Axis(what, includesZero: model.task.isClassification),
                    series: [ChartSeries("", .line(curve.points.map { ($0.number ?? 0, $0.prediction) }))])
            } else {
                chart = Chart.bars(
                    column, names: curve.points.map(\.text), values: curve.points.map(\.prediction), axis: Axis(what),
                    namesLabel: column)
            }
            (chart.width, chart.height) = (520, chart.horizontal ? chart.height : 320)
            return chart.svg()
        }
        page.pictures(pictures)
    }

    /// The rows with the highest predictions, and why.
    private func examples(_ page: inout HTMLPage) throws {
        guard model.task.kind != .multiclass else { return }
        let rows = Array(
            (0..<judged.data.rows).sorted {
                judged.predictions[$0, output] != judged.predictions[$1, output]
                    ? judged.predictions[$0, output] > judged.predictions[$1, output] : $0 < $1
            }.prefix(10))
        guard
            let reasons = try? RowReasons(
                model, judged.data.table, judged.features, rows, output: output, limit: 4, context)
        else {
            return
        }
        page.section("The highest predictions, and why")
        page.table(
            ["row", model.task.isClassification ? "probability" : "prediction", "actual", "because of"],
            rows.enumerated().map { place, row in
                [
                    "\(judged.data.sourceRows[row] + 1)", fixed(Double(judged.predictions[row, output]), 4),
                    model.task.isClassification
                        ? model.task.labels[Int(judged.data.target[row])] : fixed(judged.data.target[row], 4),
                    reasons.text(place),
                ]
            })
    }

    private func details(_ page: inout HTMLPage) {
        page.section("How it was made")
        page.paragraph("apus " + model.provenance.arguments.joined(separator: " "))
        let parameters = (try? model.learner.parameters())?.sorted { $0.key < $1.key } ?? []
        page.table(["parameter", "value"], parameters.map { [$0.key, $0.value.text] })
        page.table(
            ["column", "type"], model.pipeline.recipe.inputs.columns.map { [$0.name, $0.type.rawValue] })
        if let recipe = try? RecipeFile.text(model.pipeline.recipe.recipe) {
            page.heading("Recipe")
            page.preformatted(recipe)
        }
    }
}

/// Pictures that a kind of model has of itself.
enum ModelPictures {
    static func pictures(of model: TableModel) -> [(heading: String, svg: String)] {
        guard let trees = model.pipeline.predictor as? TreesPredictor, trees.trees.treeCount == 1 else { return [] }
        return [("The tree", trees.drawing())]
    }
}

extension HTMLPage {
    mutating func extend(_ pictures: [(heading: String, svg: String)]) {
        for (heading, svg) in pictures {
            self.heading(heading)
            widePicture(svg)
        }
    }
}
