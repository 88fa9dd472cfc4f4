/// Draws a chart.
struct ChartDrawing {
    private let chart: Chart
    private var picture: SVGDocument
    private let x: PlacedAxis
    private let y: PlacedAxis
    private let left: Double
    private let right: Double
    private let top: Double
    private let bottom: Double
    private let slantedNames: Bool

    init(_ chart: Chart) {
        self.chart = chart
        picture = SVGDocument(width: chart.width)
        var (xs, ys): ([Double], [Double]) = ([], [])
        for series in chart.series {
            let (a, b) = Self.extent(series, horizontal: chart.horizontal)
            xs += a
            ys += b
        }
        let names = chart.series.map(\.name).filter { !$0.isEmpty }
        var keyRows = names.isEmpty ? 0 : 1
        var used = 0.0
        for name in names {
            let needed = 44 + Markup.width(name) * 12
            if used + needed > chart.width - 80 {
                keyRows += 1
                used = 0
            }
            used += needed
        }
        top = (chart.title.isEmpty ? 14 : 40) + Double(keyRows) * 20
        var room = 62.0
        if case .categories(let names) = chart.y.scale {
            room = 40 + min(Double(names.map { Markup.width($0) }.max() ?? 0), 22) * 11.5
        } else {
            let probe = PlacedAxis(chart.y, values: ys, start: 100, end: 0, padding: 0.05)
            room = 34 + (probe.ticks.map { Markup.width($0.text) }.max() ?? 0) * 12
        }
        left = room
        right = chart.width - 24
        var below = chart.x.title.isEmpty ? 30.0 : 50.0
        var slanted = false
        if case .categories(let names) = chart.x.scale {
            let each = (right - left) / Double(max(names.count, 1))
            slanted = names.contains { Markup.width($0) * 11.5 > each - 4 }
            if slanted { below += min(names.map { Markup.width($0) }.max() ?? 0, 16) * 11 }
        }
        slantedNames = slanted
        bottom = chart.height - below
        x = PlacedAxis(chart.x, values: xs, start: left, end: right, padding: Self.needsPadding(chart) ? 0.02 : 0)
        // The first of a list of names is on top.
        let flipped = chart.horizontal
        y = PlacedAxis(chart.y, values: ys, start: flipped ? top : bottom, end: flipped ? bottom : top, padding: 0.05)
    }

    private static func needsPadding(_ chart: Chart) -> Bool {
        chart.horizontal
            || chart.series.contains { if case .points = $0.form { true } else { false } }
    }

    private static func extent(_ series: ChartSeries, horizontal: Bool) -> ([Double], [Double]) {
        switch series.form {
        case .line(let points), .steps(let points), .points(let points): return (points.map(\.x), points.map(\.y))
        case .bars(let values):
            let all = values + series.intervals.flatMap { [$0.lowerBound, $0.upperBound] } + [0]
            return horizontal ? (all, []) : ([], all)
        case .histogram(let edges, let heights): return (edges, heights + [0])
        case .band(let points): return (points.map(\.x), points.flatMap { [$0.low, $0.high] })
        }
    }

    mutating func draw() -> String {
        if !chart.title.isEmpty { picture.text(chart.title, x: 16, y: 24, size: 15, bold: true) }
        drawKey()
        drawGrid()
        for (place, series) in chart.series.enumerated() { draw(series, place) }
        picture.line([(left, top), (left, bottom), (right, bottom)], color: "#111111", width: 1.2)
        return picture.rendered(height: chart.height)
    }

    private mutating func drawKey() {
        var (place, row) = (16.0, chart.title.isEmpty ? 18.0 : 44.0)
        for (number, series) in chart.series.enumerated() where !series.name.isEmpty {
            let needed = 44 + Markup.width(series.name) * 12
            if place + needed > chart.width - 40, place > 16 {
                place = 16
                row += 20
            }
            switch series.form {
            case .line, .steps:
                picture.line(
                    [(place, row - 4), (place + 22, row - 4)], color: Chart.color(number), width: 2.2,
                    dashes: dashes(series, number))
            case .points where isCrowded:
                picture.circle(x: place + 10, y: row - 4, radius: 4, fill: Chart.color(number), opacity: 1)
            case .points: picture.mark(number, x: place + 10, y: row - 4, color: Chart.color(number))
            case .bars, .histogram, .band:
                picture.rectangle(x: place, y: row - 10, width: 18, height: 11, fill: Chart.color(number))
            }
            picture.text(series.name, x: place + 28, y: row)
            place += needed
        }
    }

    /// Dashes tell lines apart in print; the first line is solid.
    private func dashes(_ series: ChartSeries, _ place: Int) -> String {
        series.dashed ? "4 4" : ["", "8 3", "2 3", "9 3 2 3"][place % 4]
    }

    private mutating func drawGrid() {
        let names: Bool = if case .categories = chart.x.scale { true } else { false }
        for (value, text) in x.ticks {
            let place = x.place(value)
            if names {
                if slantedNames {
                    picture.text(
                        Markup.shortened(text, to: 15), x: place + 4, y: bottom + 8, size: 11, anchor: .end,
                        rotated: true)
                } else {
                    picture.text(text, x: place, y: bottom + 17, size: 11.5, anchor: .middle)
                }
            } else {
                picture.line([(place, top), (place, bottom)], color: "#e2e2e2")
                picture.text(text, x: place, y: bottom + 17, size: 11.5, anchor: .middle)
            }
        }
        for (value, text) in y.ticks {
            let place = y.place(value)
            if case .categories = chart.y.scale {
                picture.text(Markup.shortened(text, to: 22), x: left - 7, y: place + 4, size: 11.5, anchor: .end)
            } else {
                picture.line([(left, place), (right, place)], color: "#e2e2e2")
                picture.text(text, x: left - 7, y: place + 4, size: 11.5, anchor: .end)
            }
        }
        if !chart.x.title.isEmpty {
            picture.text(chart.x.title, x: (left + right) / 2, y: chart.height - 12, anchor: .middle)
        }
        if !chart.y.title.isEmpty {
            picture.text(chart.y.title, x: 18, y: (top + bottom) / 2, anchor: .middle, rotated: true)
        }
    }

    /// Whether points are too many for marks of their own: then all series have dots, so that none looks the heavier.
    private var isCrowded: Bool {
        chart.series.reduce(0) { sum, series in
            if case .points(let points) = series.form { sum + points.count } else { sum }
        } > 300
    }

    private mutating func draw(_ series: ChartSeries, _ number: Int) {
        let color = Chart.color(number)
        switch series.form {
        case .line(let points):
            for run in visible(points) {
                picture.line(run, color: color, width: 2, dashes: dashes(series, number))
            }
        case .steps(let points):
            var corners: [(x: Double, y: Double)] = []
            for point in points {
                if let last = corners.last { corners.append((point.x, last.y)) }
                corners.append(point)
            }
            for run in visible(corners) {
                picture.line(run, color: color, width: 2, dashes: dashes(series, number))
            }
        case .points(let points):
            let isCrowded = isCrowded
            for point in points where x.contains(point.x) && y.contains(point.y) {
                if isCrowded {
                    picture.circle(x: x.place(point.x), y: y.place(point.y), radius: 2, fill: color, opacity: 0.35)
                } else {
                    picture.mark(number, x: x.place(point.x), y: y.place(point.y), color: color)
                }
            }
        case .bars(let values): drawBars(values, series, number)
        case .histogram(let edges, let heights):
            let overlaid = chart.series.count > 1
            for (place, height) in heights.enumerated() where height > 0 {
                let (start, end) = (x.place(edges[place]), x.place(edges[place + 1]))
                let up = y.place(height)
                if overlaid {
                    picture.polygon(
                        [(start, bottom), (start, up), (end, up), (end, bottom)], fill: color, opacity: 0.5)
                } else {
                    picture.rectangle(
                        x: start + 0.5, y: up, width: max(end - start - 1, 0.5), height: max(bottom - up, 0.5),
                        fill: color,
                        title:
                            "\(Markup.number(edges[place])) – \(Markup.number(edges[place + 1])): \(Markup.number(height))"
                    )
                }
            }
        case .band(let points):
            let usable = points.filter { $0.low.isFinite && $0.high.isFinite }
            let upper = usable.map { (x: x.place($0.x), y: y.place($0.high)) }
            let lower = usable.reversed().map { (x: x.place($0.x), y: y.place($0.low)) }
            picture.polygon(upper + lower, fill: color, opacity: 0.2)
        }
    }

    private mutating func drawBars(_ values: [Double], _ series: ChartSeries, _ number: Int) {
        let groups = chart.series.filter { if case .bars = $0.form { true } else { false } }.count
        let rank = chart.series.prefix(number).filter { if case .bars = $0.form { true } else { false } }.count
        let step = abs((chart.horizontal ? y : x).place(1) - (chart.horizontal ? y : x).place(0))
        let thickness = step * 0.76 / Double(max(groups, 1))
        for (place, value) in values.enumerated() where value.isFinite {
            let middle = (chart.horizontal ? y : x).place(Double(place))
            let offset = middle - step * 0.38 + thickness * Double(rank)
            let (zero, tip) = chart.horizontal ? (x.place(0), x.place(value)) : (y.place(0), y.place(value))
            let length = max(abs(tip - zero), 0.5)
            if chart.horizontal {
                picture.rectangle(
                    x: min(zero, tip), y: offset, width: length, height: max(thickness - 1, 1),
                    fill: Chart.color(number), title: Markup.number(value))
            } else {
                picture.rectangle(
                    x: offset, y: min(zero, tip), width: max(thickness - 1, 1), height: length,
                    fill: Chart.color(number), title: Markup.number(value))
            }
            guard place < series.intervals.count else { continue }
            let interval = series.intervals[place]
            let center = offset + thickness / 2
            if chart.horizontal {
                picture.line(
                    [(x.place(interval.lowerBound), center), (x.place(interval.upperBound), center)],
                    color: "#111111", width: 1.4)
            } else {
                picture.line(
                    [(center, y.place(interval.lowerBound)), (center, y.place(interval.upperBound))],
                    color: "#111111", width: 1.4)
            }
        }
    }

    /// Runs of points that can be drawn, in places on the paper.
    private func visible(_ points: [(x: Double, y: Double)]) -> [[(x: Double, y: Double)]] {
        var runs: [[(x: Double, y: Double)]] = [[]]
        for point in points {
            if x.contains(point.x), y.contains(point.y) {
                runs[runs.count - 1].append((x.place(point.x), y.place(point.y)))
            } else if !runs[runs.count - 1].isEmpty {
                runs.append([])
            }
        }
        return runs.filter { $0.count > 1 }
    }
}
