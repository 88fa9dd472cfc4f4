/// A table of numbers as colours: correlations, confusion, cohorts.
public struct HeatMap: Sendable {
    public var title: String
    public var rows: [String]
    public var columns: [String]
    /// One array for each row; NaN is an empty cell.
    public var values: [[Double]]
    /// Values of the palest and the darkest colour; nil takes what there is.
    public var range: ClosedRange<Double>?
    /// Two colours that meet at 0: for correlations and differences.
    public var diverging: Bool
    public var rowsLabel = ""
    public var columnsLabel = ""
    /// Digits after the point of the numbers in the cells.
    public var digits = 2

    public init(
        _ title: String, rows: [String], columns: [String], values: [[Double]], range: ClosedRange<Double>? = nil,
        diverging: Bool = false
    ) {
        self.title = title
        self.rows = rows
        self.columns = columns
        self.values = values
        self.range = range
        self.diverging = diverging
    }

    /// The picture as an SVG document.
    public func svg() -> String {
        let left = 40 + min(rows.map { Markup.width($0) }.max() ?? 0, 22) * 11.5
        let cell = min(max(720 / Double(max(columns.count, 1)), 22), 64)
        let slanted = columns.contains { Markup.width($0) * 11 > cell - 4 }
        let top =
            (title.isEmpty ? 20 : 44) + (columnsLabel.isEmpty ? 0 : 18)
            + (slanted ? min(columns.map { Markup.width($0) }.max() ?? 0, 16) * 11 : 10)
        let size = min(cell, 40)
        // Bold letters of the fonts that browsers fall back to are a quarter wider than reckoned.
        let width = max(left + cell * Double(columns.count) + 90, 300, 32 + 1.25 * 15 * Markup.width(title))
        var picture = SVGDocument(width: width)
        if !title.isEmpty { picture.text(title, x: 16, y: 24, size: 15, bold: true) }
        let finite = values.flatMap { $0 }.filter { $0.isFinite }
        var (low, high) = (range?.lowerBound ?? finite.min() ?? 0, range?.upperBound ?? finite.max() ?? 1)
        if diverging {
            high = max(abs(low), abs(high))
            low = -high
        }
        if low == high { high = low + 1 }
        if !columnsLabel.isEmpty {
            picture.text(
                columnsLabel, x: left + cell * Double(columns.count) / 2, y: title.isEmpty ? 14 : 44, anchor: .middle)
        }
        if !rowsLabel.isEmpty {
            picture.text(
                rowsLabel, x: 16, y: top + size * Double(rows.count) / 2, anchor: .middle, rotated: true)
        }
        for (place, name) in columns.enumerated() {
            let x = left + cell * (Double(place) + 0.5)
            if slanted {
                picture.text(Markup.shortened(name, to: 15), x: x + 4, y: top - 6, size: 11, rotated: true)
            } else {
                picture.text(name, x: x, y: top - 6, size: 11, anchor: .middle)
            }
        }
        for (row, name) in rows.enumerated() {
            let y = top + size * Double(row)
            picture.text(Markup.shortened(name, to: 22), x: left - 6, y: y + size / 2 + 4, size: 11, anchor: .end)
            for column in columns.indices {
                let value = values[row][column]
                let x = left + cell * Double(column)
                guard value.isFinite else {
                    picture.rectangle(x: x, y: y, width: cell - 1, height: size - 1, fill: "#f4f4f4")
                    continue
                }
                let share = min(max((value - low) / (high - low), 0), 1)
                picture.rectangle(
                    x: x, y: y, width: cell - 1, height: size - 1, fill: color(share),
                    title: "\(name), \(columns[column]): \(Markup.number(value))")
                if cell >= 34 {
                    let dark = diverging ? abs(share - 0.5) > 0.33 : share > 0.6
                    picture.text(
                        Markup.minus(Markup.fixed(value, digits)), x: x + cell / 2, y: y + size / 2 + 4, size: 10.5,
                        anchor: .middle, color: dark ? "#ffffff" : "#111111")
                }
            }
        }
        let bottom = top + size * Double(rows.count)
        let scale = left + cell * Double(columns.count) + 16
        for step in 0..<40 {
            let share = Double(step) / 39
            picture.rectangle(
                x: scale, y: bottom - (bottom - top) * (share + 1.0 / 39) * 39 / 40, width: 12,
                height: (bottom - top) / 39, fill: color(share))
        }
        picture.text(Markup.number(high), x: scale + 16, y: top + 8, size: 10.5)
        picture.text(Markup.number(low), x: scale + 16, y: bottom, size: 10.5)
        return picture.rendered(height: bottom + 20)
    }

    /// From white to blue; or from orange over white to blue.
    private func color(_ share: Double) -> String {
        func mixed(_ from: (Double, Double, Double), _ to: (Double, Double, Double), _ part: Double) -> String {
            func two(_ a: Double, _ b: Double) -> String {
                let value = Int((a + (b - a) * part).rounded())
                return (value < 16 ? "0" : "") + String(value, radix: 16)
            }
            return "#" + two(from.0, to.0) + two(from.1, to.1) + two(from.2, to.2)
        }
        let (white, blue, orange) = ((250.0, 250.0, 250.0), (0.0, 90.0, 158.0), (196.0, 78.0, 0.0))
        if !diverging { return mixed(white, blue, share) }
        return share < 0.5 ? mixed(white, orange, 1 - 2 * share) : mixed(white, blue, 2 * share - 1)
    }
}
