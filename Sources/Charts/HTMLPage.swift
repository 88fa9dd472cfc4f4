/// A page that opens in a browser without a network: headings, paragraphs, tables and pictures in one file.
public struct HTMLPage: Sendable {
    public let title: String
    private var body = ""
    private var contents: [String] = []

    public init(_ title: String) { self.title = title }

    /// A heading that the page's table of contents lists.
    public mutating func section(_ text: String) {
        contents.append(text)
        body += "<h2 id=\"section\(contents.count)\">\(Markup.escaped(text))</h2>\n"
    }

    public mutating func heading(_ text: String) { body += "<h3>\(Markup.escaped(text))</h3>\n" }

    public mutating func paragraph(_ text: String) { body += "<p>\(Markup.escaped(text))</p>\n" }

    /// Text whose lines and indentation mean something.
    public mutating func preformatted(_ text: String) { body += "<pre>\(Markup.escaped(text))</pre>\n" }

    public mutating func list(_ items: [String]) {
        guard !items.isEmpty else { return }
        body += "<ul>\n" + items.map { "<li>\(Markup.escaped($0))</li>\n" }.joined() + "</ul>\n"
    }

    /// A table; cells that are numbers are set to the right.
    public mutating func table(_ header: [String], _ rows: [[String]]) {
        body += "<div class=\"wide\"><table>\n<tr>"
        body += header.map { "<th>\(Markup.escaped($0))</th>" }.joined() + "</tr>\n"
        for row in rows {
            body += "<tr>"
            for cell in row {
                let numeric = cell.first.map { $0.isNumber || $0 == "−" || $0 == "-" } ?? false
                let plain = cell.allSatisfy { $0.isNumber || "−-+.,e%\u{202F} ".contains($0) }
                body += numeric && plain ? "<td class=\"n\">" : "<td>"
                body += Markup.escaped(cell) + "</td>"
            }
            body += "</tr>\n"
        }
        body += "</table></div>\n"
    }

    /// A picture as an SVG document, scaled down where the window is narrow.
    public mutating func picture(_ svg: String) { body += "<figure>\(svg)</figure>\n" }

    /// A picture in its own size, to be moved where the window is narrower: of a tree, whose words would become too small.
    public mutating func widePicture(_ svg: String) { body += "<figure class=\"wide full\">\(svg)</figure>\n" }

    public mutating func picture(_ chart: Chart) { picture(chart.svg()) }

    /// Pictures side by side where there is room.
    public mutating func pictures(_ all: [String]) {
        body += "<div class=\"row\">" + all.map { "<figure>\($0)</figure>" }.joined(separator: "\n") + "</div>\n"
    }

    /// The page's text.
    public func rendered() -> String {
        let list = contents.enumerated().map {
            "<a href=\"#section\($0.offset + 1)\">\(Markup.escaped($0.element))</a>"
        }.joined(separator: " · ")
        return """
            <!DOCTYPE html>
            <html>
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(Markup.escaped(title))</title>
            <style>
            body { font-family: \(SVGDocument.fonts); margin: 2em auto; max-width: 1100px; padding: 0 1em; color: #111; \
            line-height: 1.45; }
            h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; border-bottom: 1px solid #ccc; }
            table { border-collapse: collapse; font-size: 0.9em; }
            th, td { padding: 0.25em 0.7em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
            td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
            .wide { overflow-x: auto; } .row { display: flex; flex-wrap: wrap; gap: 0.5em; }
            figure { margin: 0.6em 0; } figure svg { max-width: 100%; height: auto; }
            figure.full svg { max-width: none; } pre { background: #f6f6f6; padding: 0.8em; overflow-x: auto; }
            nav { font-size: 0.9em; color: #666; }
            @media print { body { margin: 0; max-width: none; } figure { break-inside: avoid; } \
            figure.full svg { max-width: 100%; } }
            </style>
            </head>
            <body>
            <h1>\(Markup.escaped(title))</h1>
            <nav>\(list)</nav>
            \(body)</body>
            </html>

            """
    }
}
