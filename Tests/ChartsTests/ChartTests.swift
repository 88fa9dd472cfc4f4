import Charts
import Testing

@Suite struct ChartTests {
    /// Counts of elements by name; an error is recorded for text that is not well-formed.
    private func elements(_ svg: String) -> [String: Int] {
        var counts: [String: Int] = [:]
        var open: [String] = []
        var rest = svg[...]
        while let start = rest.firstIndex(of: "<") {
            guard let end = rest[start...].firstIndex(of: ">") else {
                Issue.record("a tag does not end")
                break
            }
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            if tag.hasPrefix("/") {
                #expect(open.popLast() == String(tag.dropFirst()))
            } else {
                let name = String(tag.prefix { !$0.isWhitespace && $0 != "/" })
                counts[name, default: 0] += 1
                if !tag.hasSuffix("/") { open.append(name) }
            }
        }
        #expect(open.isEmpty)
        #expect(!svg.contains("nan") && !svg.contains("inf,") && !svg.contains("\"inf"))
        return counts
    }

    @Test func bins() {
        let (edges, counts) = Histogram.counts([0, 1, 1, 2, 3, 3, 3, .nan])
        #expect(counts == [1, 2, 1, 3] && edges == [-0.5, 0.5, 1.5, 2.5, 3.5])
        let (even, many) = Histogram.counts((0..<1000).map { Double($0) / 999 }, bins: 10)
        #expect(even.count == 11 && many.allSatisfy { $0 == 100 })
        #expect(Histogram.counts([7, 7]).counts == [2] && Histogram.counts([]).counts == [0])
        let (_, all) = Histogram.counts((0..<5000).map { Double($0 * $0) })
        #expect(all.reduce(0, +) == 5000)
    }

    @Test func chartsAreWellFormed() {
        let points = (0..<50).map { (x: Double($0), y: Double($0 * $0) - 100) }
        let chart = Chart(
            "Größe <und> \"mehr\" & 客户年龄", x: Axis("年龄", unit: "岁"), y: Axis("rows"),
            series: [
                ChartSeries("a", .line(points)), ChartSeries("b", .points(points + [(.nan, 1), (2, .infinity)])),
                ChartSeries("c", .steps(points), dashed: true),
                ChartSeries("d", .band(points.map { ($0.x, $0.y - 5, $0.y + 5) })),
            ])
        let counts = elements(chart.svg())
        #expect(counts["svg"] == 1 && (counts["polyline"] ?? 0) >= 3 && (counts["polygon"] ?? 0) >= 1)
        #expect(chart.svg().contains("客户年龄") && chart.svg().contains("年龄 (岁)"))
        let bars = Chart.bars("b", names: ["x", "y"], values: [3, -1], axis: Axis("n"), intervals: [2...4, -2...0])
        #expect(elements(bars.svg())["rect"] == 3)
        let many = Chart.bars(
            "m", names: (0..<30).map { "name \($0)" }, values: (0..<30).map { Double($0) }, axis: Axis("n"))
        #expect(many.horizontal && elements(many.svg())["rect"] == 31)
        let empty = Chart("", x: Axis("x", scale: .logarithmic), y: Axis("y"), series: [])
        #expect(elements(empty.svg())["svg"] == 1)
        let map = HeatMap(
            "h", rows: ["a", "b"], columns: ["c", "d"], values: [[1, .nan], [-0.5, 0]], diverging: true)
        #expect((elements(map.svg())["rect"] ?? 0) >= 5)
    }

    /// Marks for some points; with many, dots for all series and in the legend, so that none looks the heavier.
    @Test func crowdedPointsAreDotsInAllSeries() {
        func circles(_ counts: [Int]) -> Int {
            let series = counts.enumerated().map { number, count in
                ChartSeries("s\(number)", .points((0..<count).map { (x: Double($0), y: Double(number)) }))
            }
            return elements(Chart("", x: Axis("x"), y: Axis("y"), series: series).svg())["circle"] ?? 0
        }
        #expect(circles([400, 10]) == 412)
        // The first series has circles of its own.
        #expect(circles([20, 10]) == 21)
    }

    @Test func axesHaveReadableTicks() {
        let year = 1_704_067_200.0
        let time = Chart(
            "", x: Axis("t", scale: .time), y: Axis("y"),
            series: [ChartSeries("", .line([(year, 0), (year + 86_400 * 400, 1)]))]
        ).svg()
        #expect(time.contains(">2024-03<") || time.contains(">2024-04<"))
        let big = Chart(
            "", x: Axis("x"), y: Axis("y"), series: [ChartSeries("", .line([(0, 0), (6_000_000, 0.3)]))]
        ).svg()
        #expect(big.contains("M</text>") && big.contains(">0.1<"))
        #expect(Markup.number(1234567) == "1\u{202F}234\u{202F}567" && Markup.number(0.00012346) == "0.0001235")
        #expect(Markup.number(-12.5) == "−12.5" && Markup.number(.nan) == "–")
    }

    @Test func pages() {
        var page = HTMLPage("报告 <1>")
        page.section("One & two")
        page.table(["name", "n"], [["a<b", "1.5"], ["c", "x"]])
        page.picture(Chart.histogram("h", [1, 2, 2, 3], axis: Axis("v")))
        let text = page.rendered()
        #expect(text.contains("<h1>报告 &lt;1&gt;</h1>") && text.contains("<td class=\"n\">1.5</td>"))
        #expect(text.contains("a&lt;b") && text.contains("<svg") && !text.contains("http://www.w3.org/2000/svg\" src"))
        #expect(!text.contains("<script") && !text.contains("https://"))
    }
}
