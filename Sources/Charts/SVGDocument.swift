import Core

#if canImport(Glibc)
    import Glibc
#endif

/// A drawing made of lines, shapes and text: plain SVG that browsers, office programs and printers take.
public struct SVGDocument: Sendable {
    /// What stands for a text's place: its beginning, its middle, its end.
    public enum Anchor: String, Sendable { case start, middle, end }

    /// Fonts with Latin letters first, then the usual ones with Chinese characters on Linux, Windows and macOS.
    public static let fonts =
        "Helvetica, Arial, 'DejaVu Sans', 'Noto Sans CJK SC', 'Noto Sans SC', 'Source Han Sans SC', 'PingFang SC', "
        + "'Microsoft YaHei', 'WenQuanYi Zen Hei', 'WenQuanYi Micro Hei', sans-serif"

    private var body = ""
    public let width: Double

    public init(width: Double) { self.width = width }

    public mutating func text(
        _ text: String, x: Double, y: Double, size: Double = 12, anchor: Anchor = .start, bold: Bool = false,
        rotated: Bool = false, color: String? = nil
    ) {
        let turn = rotated ? " transform=\"rotate(-90 \(n(x)) \(n(y)))\"" : ""
        body +=
            "<text x=\"\(n(x))\" y=\"\(n(y))\" font-size=\"\(n(size))\" text-anchor=\"\(anchor.rawValue)\""
            + (bold ? " font-weight=\"bold\"" : "") + (color.map { " fill=\"\($0)\"" } ?? "") + turn
            + ">\(Markup.escaped(text))</text>\n"
    }

    public mutating func line(
        _ points: [(x: Double, y: Double)], color: String, width: Double = 1, dashes: String = ""
    ) {
        let path = points.map { "\(n($0.x)),\(n($0.y))" }.joined(separator: " ")
        body +=
            "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(color)\" stroke-width=\"\(n(width))\""
            + (dashes.isEmpty ? "" : " stroke-dasharray=\"\(dashes)\"") + "/>\n"
    }

    /// A closed shape.
    public mutating func polygon(_ points: [(x: Double, y: Double)], fill: String, opacity: Double = 1) {
        let path = points.map { "\(n($0.x)),\(n($0.y))" }.joined(separator: " ")
        body +=
            "<polygon points=\"\(path)\" fill=\"\(fill)\"" + (opacity < 1 ? " fill-opacity=\"\(n(opacity, 2))\"" : "")
            + "/>\n"
    }

    /// - Parameter title: shown by browsers when the pointer rests on it.
    public mutating func rectangle(
        x: Double, y: Double, width: Double, height: Double, fill: String, stroke: String? = nil,
        title: String? = nil
    ) {
        body +=
            "<rect x=\"\(n(x))\" y=\"\(n(y))\" width=\"\(n(width))\" height=\"\(n(height))\" fill=\"\(fill)\""
            + (stroke.map { " stroke=\"\($0)\"" } ?? "")
            + (title.map { "><title>\(Markup.escaped($0))</title></rect>\n" } ?? "/>\n")
    }

    public mutating func circle(x: Double, y: Double, radius: Double, fill: String, opacity: Double = 1) {
        body +=
            "<circle cx=\"\(n(x))\" cy=\"\(n(y))\" r=\"\(n(radius))\" fill=\"\(fill)\""
            + (opacity < 1 ? " fill-opacity=\"\(n(opacity, 2))\"" : "") + "/>\n"
    }

    /// A mark of one of four shapes, hollow so that marks on top of each other can be told apart.
    public mutating func mark(_ shape: Int, x: Double, y: Double, color: String) {
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

    /// The document's text.
    public func rendered(height: Double) -> String {
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(n(width)) \(n(height))\" width=\"\(n(width))\" "
            + "height=\"\(n(height))\" font-family=\"\(SVGDocument.fonts)\" fill=\"#111111\">\n"
            + "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n" + body + "</svg>\n"
    }

    private func n(_ value: Double, _ digits: Int = 1) -> String { Markup.fixed(value, digits) }
}

/// Text and numbers for SVG and HTML.
public enum Markup {
    /// Text with the characters that mean something to a parser written as entities. Control characters that XML does
    /// not allow are left out.
    public static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\n", "\t", "\r": result += " "
            default: if scalar.value >= 0x20 && scalar.value != 0xFFFE { result.unicodeScalars.append(scalar) }
            }
        }
        return result
    }

    /// A number with `digits` digits after the point.
    public static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return "0" }
        var buffer = [CChar](repeating: 0, count: 400)
        withVaList([value]) { _ = vsnprintf(&buffer, buffer.count, "%.\(digits)f", $0) }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A number for people: four significant digits, thousands apart, and powers of ten where they are needed.
    public static func number(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "–" : value < 0 ? "−∞" : "∞" }
        let size = abs(value)
        if size != 0, size < 1e-4 || size >= 1e9 {
            let power = Int(floor(log10(size)))
            return "\(trimmed(fixed(value / pow(10, Double(power)), 3)))e\(power)"
        }
        if value == value.rounded() { return grouped(fixed(value, 0)) }
        let digits =
            size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4 - Int(floor(log10(size))) - 1
        return grouped(trimmed(fixed(value, digits)))
    }

    static func trimmed(_ text: String) -> String {
        guard text.contains(".") else { return text }
        var text = text[...]
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return String(text)
    }

    private static func grouped(_ text: String) -> String {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let negative = parts[0].hasPrefix("-")
        let digits = Array(parts[0].drop { $0 == "-" })
        var result = ""
        for (place, digit) in digits.enumerated() {
            if place > 0, digits.count > 4, (digits.count - place) % 3 == 0 { result += "\u{202F}" }
            result.append(digit)
        }
        return (negative ? "−" : "") + result + (parts.count > 1 ? ".\(parts[1])" : "")
    }

    /// About how wide a text is, in units of its size: Chinese, Japanese and Korean characters are square.
    public static func width(_ text: String) -> Double {
        text.unicodeScalars.reduce(0) { width, scalar in
            let value = scalar.value
            let wide =
                (0x1100...0x115F).contains(value) || (0x2E80...0xA4CF).contains(value)
                || (0xAC00...0xD7A3).contains(value) || (0xF900...0xFAFF).contains(value)
                || (0xFE30...0xFE6F).contains(value) || (0xFF00...0xFF60).contains(value)
                || (0x20000...0x3FFFD).contains(value)
            return width + (wide ? 1 : scalar == " " || "il.,:;'|!".unicodeScalars.contains(scalar) ? 0.3 : 0.56)
        }
    }

    /// A text cut off with an ellipsis so that it is about `limit` times its size wide.
    public static func shortened(_ text: String, to limit: Double) -> String {
        if width(text) <= limit { return text }
        var result = ""
        for character in text {
            if width(result + String(character)) > limit - 1 { break }
            result.append(character)
        }
        return result + "…"
    }
}
