import Core

/// A drawing made of lines, shapes and text; plain SVG, that prints.
struct SVGDocument {
    private var body = ""
    let width: Double

    init(width: Double) { self.width = width }

    enum Anchor: String { case start, middle, end }

    mutating func text(
        _ text: String, x: Double, y: Double, size: Double = 12, anchor: Anchor = .start, bold: Bool = false,
        rotated: Bool = false
    ) {
        let turn = rotated ? " transform=\"rotate(-90 \(n(x)) \(n(y)))\"" : ""
        body +=
            "<text x=\"\(n(x))\" y=\"\(n(y))\" font-size=\"\(n(size))\" text-anchor=\"\(anchor.rawValue)\""
            + (bold ? " font-weight=\"bold\"" : "") + turn + ">\(Self.escaped(text))</text>\n"
    }

    mutating func line(_ points: [(x: Double, y: Double)], color: String, width: Double = 1, dashes: String = "") {
        let path = points.map { "\(n($0.x)),\(n($0.y))" }.joined(separator: " ")
        body +=
            "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(color)\" stroke-width=\"\(n(width))\""
            + (dashes.isEmpty ? "" : " stroke-dasharray=\"\(dashes)\"") + "/>\n"
    }

    mutating func rectangle(x: Double, y: Double, width: Double, height: Double, fill: String) {
        body += "<rect x=\"\(n(x))\" y=\"\(n(y))\" width=\"\(n(width))\" height=\"\(n(height))\" fill=\"\(fill)\"/>\n"
    }

    /// A mark of one of four shapes, hollow so that marks on top of each other can be told apart.
    mutating func mark(_ shape: Int, x: Double, y: Double, color: String) {
        let r = 4.5
        let corners: [(Double, Double)]
        switch shape % 4 {
        case 0:
            body +=
                "<circle cx=\"\(n(x))\" cy=\"\(n(y))\" r=\"\(n(r))\" fill=\"\(color)\" fill-opacity=\"0.35\" "
                + "stroke=\"\(color)\" stroke-width=\"1.4\"/>\n"
            return
        case 1: corners = [(-r, -r), (r, -r), (r, r), (-r, r)]
        case 2: corners = [(0, -r * 1.2), (r * 1.1, r), (-r * 1.1, r)]
        default: corners = [(0, -r * 1.3), (r * 1.3, 0), (0, r * 1.3), (-r * 1.3, 0)]
        }
        let points = corners.map { "\(n(x + $0.0)),\(n(y + $0.1))" }.joined(separator: " ")
        body +=
            "<polygon points=\"\(points)\" fill=\"\(color)\" fill-opacity=\"0.35\" stroke=\"\(color)\" "
            + "stroke-width=\"1.4\"/>\n"
    }

    func rendered(height: Double) -> String {
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(n(width)) \(n(height))\" width=\"\(n(width))\" "
            + "height=\"\(n(height))\" font-family=\"Helvetica, Arial, DejaVu Sans, sans-serif\" fill=\"#111111\">\n"
            + "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n" + body + "</svg>\n"
    }

    private func n(_ value: Double) -> String { fixed(value, 1) }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            default: result.append(character)
            }
        }
        return result
    }
}
