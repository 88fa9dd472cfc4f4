import Core

/// Layers as a text, in the part of YAML that a list of them needs:
///
///     layers:
///       - dense: 64
///       - layer-norm
///       - activation: gelu
///       - dropout: 0.2
///       - residual:
///           - dense: 64
///           - activation: relu
///       - concatenation:
///           - branch:
///               - dense: 16
///           - branch:
///               - dense: 8
///               - activation: tanh
///
/// `sum` adds its branches up; `batch-norm` stands where `layer-norm` may, also as
/// `batch-norm: epsilon 0.001 momentum 0.01`. For pictures:
///
///     layers:
///       - convolution: 32 3x3 padding 1
///       - activation: relu
///       - max-pool: 2x2
///       - convolution: 64 3x3 stride 2
///       - global-mean
///
/// A window moves by 1 in a convolution and by its own size in pooling, unless a stride is named; `mean-pool` and `flatten`
/// are there too. For sequences, which have a row for each step (pixels of a picture are such rows):
///
///     layers:
///       - positions: learned
///       - transformer: 4 heads 128 hidden causal dropout 0.1 activation gelu
///       - attention: 4 causal
///       - gru: 32
///       - global-mean
///
/// Of events, as `apus train rnn` reads them, `embedding` makes the rows and `last-step` takes the one of the last event:
///
///     layers:
///       - embedding: 32
///       - gru: 64
///       - last-step
///       - dense: 32
///
/// `positions: waves` are sines and cosines; `norm-last` in a transformer normalizes behind each sum; `rnn` and `lstm` are
/// there too. `interaction: 16` multiplies vectors of 16 columns with each other.
/// The layer that makes the outputs is added by itself. What follows a # is a remark.
public enum ArchitectureText {
    private struct Line {
        let number: Int
        let indent: Int
        let key: Substring
        let value: Substring
    }

    /// Words for layers.
    private static let words =
        [
            "dense", "activation", "dropout", "layer-norm", "batch-norm", "residual", "concatenation", "sum",
            "convolution", "max-pool",
            "mean-pool", "global-mean", "flatten", "embedding", "last-step",
        ] + sequenceWords

    /// The layers of a text. Throws ``DataError`` with line and key for what it does not understand.
    public static func layers(_ text: String) throws(DataError) -> [LayerSpecification] {
        var lines = try split(text)[...]
        guard let first = lines.first else { throw DataError("the architecture has no layers") }
        if first.key == "layers" {
            guard first.value.isEmpty else {
                throw DataError(
                    "a list of layers follows `layers:` on lines of its own", line: first.number, column: "layers")
            }
            lines = lines.dropFirst()
        }
        guard let start = lines.first else {
            throw DataError("`layers` is empty", line: first.number, column: "layers")
        }
        let layers = try list(&lines, indent: start.indent)
        if let rest = lines.first {
            throw DataError(
                "the line is indented unlike the others of its list", line: rest.number, column: String(rest.key))
        }
        return layers
    }

    private static func split(_ text: String) throws(DataError) -> [Line] {
        var lines: [Line] = []
        for (index, raw) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            var line = raw.prefix { $0 != "#" }
            while let last = line.last, last == " " || last == "\r" { line.removeLast() }
            guard let content = line.firstIndex(where: { $0 != " " }) else { continue }
            let number = index + 1
            if line.contains("\t") { throw DataError("a tab; indent with spaces", line: number) }
            let indent = line.distance(from: line.startIndex, to: content)
            var rest = line[content...]
            let isItem = rest.hasPrefix("- ")
            if isItem { rest = rest.dropFirst(2).drop { $0 == " " } }
            let colon = rest.firstIndex(of: ":")
            let key = rest[..<(colon ?? rest.endIndex)]
            let value = colon.map { rest[rest.index(after: $0)...].drop { $0 == " " } } ?? ""
            guard isItem || key == "layers" else {
                let near = nearest(String(key), among: ["layers"])
                throw DataError(
                    near == nil
                        ? "expects an item of a list, such as `- dense: 64`" : "unknown key; did you mean `layers`?",
                    line: number, column: String(key))
            }
            lines.append(Line(number: number, indent: indent, key: key, value: value))
        }
        return lines
    }

    private static func list(_ lines: inout ArraySlice<Line>, indent: Int) throws(DataError) -> [LayerSpecification] {
        var layers: [LayerSpecification] = []
        while let line = lines.first, line.indent == indent {
            lines = lines.dropFirst()
            layers.append(try layer(line, &lines))
        }
        return layers
    }

    private struct Window {
        var height: Int
        var width: Int
        var stride: Int?
        var padding: Int?
    }

    /// `32 3x3 stride 2 padding 1`, with or without the channels; nil for anything else.
    private static func window(_ text: Substring, takesChannels: Bool) -> (channels: Int?, window: Window)? {
        var words = text.split(separator: " ")[...]
        var channels: Int?
        if takesChannels {
            guard let number = words.popFirst().flatMap({ Int($0) }) else { return nil }
            channels = number
        }
        let extents = words.popFirst()?.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) } ?? []
        guard extents.count == 2, let height = extents[0], let width = extents[1], height > 0, width > 0 else {
            return nil
        }
        var window = Window(height: height, width: width)
        while let word = words.popFirst() {
            guard let number = words.popFirst().flatMap({ Int($0) }), number >= 0 else { return nil }
            switch word {
            case "stride" where number > 0: window.stride = number
            case "padding": window.padding = number
            default: return nil
            }
        }
        return (channels, window)
    }

    /// `epsilon 0.001 momentum 0.01`, both optional; nil for anything else.
    private static func batchNorm(_ text: Substring) -> (epsilon: Float, momentum: Float)? {
        var (epsilon, momentum): (Float, Float) = (1e-5, 0.1)
        var words = text.split(separator: " ")[...]
        while let word = words.popFirst() {
            guard let number = words.popFirst().flatMap({ Float($0) }), number > 0, number.isFinite else { return nil }
            switch word {
            case "epsilon": epsilon = number
            case "momentum" where number <= 1: momentum = number
            default: return nil
            }
        }
        return (epsilon, momentum)
    }

    private static func branches(
        _ lines: inout ArraySlice<Line>, indent: Int
    ) throws(DataError) -> [[LayerSpecification]] {
        var branches: [[LayerSpecification]] = []
        while let line = lines.first, line.indent == indent {
            guard line.key == "branch", line.value.isEmpty else {
                throw DataError(
                    "expects `- branch:` and its layers below, indented further", line: line.number,
                    column: String(line.key))
            }
            lines = lines.dropFirst()
            guard let inner = lines.first, inner.indent > indent else {
                throw DataError("the branch has no layers", line: line.number, column: "branch")
            }
            branches.append(try list(&lines, indent: inner.indent))
        }
        return branches
    }

    private static func layer(_ line: Line, _ lines: inout ArraySlice<Line>) throws(DataError) -> LayerSpecification {
        func wrong(_ reason: String) -> DataError { DataError(reason, line: line.number, column: String(line.key)) }
        switch line.key {
        case "dense":
            guard let units = Int(line.value), units >= 1 else {
                throw wrong("expects a number of units, not `\(line.value)`")
            }
            return .dense(units: units, bias: true)
        case "activation":
            guard let name = ActivationName(rawValue: String(line.value)) else {
                let names = ActivationName.allCases.map(\.rawValue)
                let near = nearest(String(line.value), among: names).map { "; did you mean `\($0)`?" } ?? ""
                throw wrong("`\(line.value)` is none of \(names.joined(separator: ", "))\(near)")
            }
            return .activation(function: name)
        case "dropout":
            guard let probability = Float(line.value), probability >= 0, probability < 1 else {
                throw wrong("expects a probability, at least 0 and below 1, not `\(line.value)`")
            }
            return .dropout(probability: probability)
        case "layer-norm":
            guard line.value.isEmpty else { throw wrong("has no value") }
            return .layerNorm(epsilon: 1e-5)
        case "batch-norm":
            guard let (epsilon, momentum) = batchNorm(line.value) else {
                throw wrong(
                    "expects nothing, or `epsilon 0.001` above 0 and `momentum 0.01` above 0 and at most 1, not "
                        + "`\(line.value)`")
            }
            return .batchNorm(epsilon: epsilon, momentum: momentum)
        case "convolution":
            guard let (channels, window) = window(line.value, takesChannels: true), let channels else {
                throw wrong("expects channels and a window, such as `32 3x3 padding 1`, not `\(line.value)`")
            }
            return .convolution(
                channels: channels, height: window.height, width: window.width, stride: window.stride ?? 1,
                padding: window.padding ?? 0)
        case "max-pool", "mean-pool":
            guard let (_, window) = window(line.value, takesChannels: false), window.padding == nil else {
                throw wrong("expects a window, such as `2x2` or `3x3 stride 2`, not `\(line.value)`")
            }
            return .pooling(
                averages: line.key == "mean-pool", height: window.height, width: window.width,
                stride: window.stride ?? max(window.height, window.width))
        case "global-mean", "flatten", "last-step":
            guard line.value.isEmpty else { throw wrong("has no value") }
            return line.key == "flatten" ? .flatten : line.key == "last-step" ? .lastStep : .globalMean
        case "embedding":
            guard let units = Int(line.value), units >= 1 else {
                throw wrong("expects the numbers of an event's vector, such as `32`, not `\(line.value)`")
            }
            return .embedding(tables: [], units: units, arrangement: .steps)
        case let word where sequenceWords.contains(String(word)):
            let (layer, reason) = sequenceLayer(String(word), line.value)
            guard let layer else { throw wrong(reason) }
            return layer
        case "residual":
            guard line.value.isEmpty, let inner = lines.first, inner.indent > line.indent else {
                throw wrong("expects a list of layers on the lines after it, indented further")
            }
            return .residual(layers: try list(&lines, indent: inner.indent))
        case "concatenation", "sum":
            guard line.value.isEmpty, let inner = lines.first, inner.indent > line.indent else {
                throw wrong("expects a list of branches on the lines after it, indented further")
            }
            let branches = try branches(&lines, indent: inner.indent)
            return line.key == "sum" ? .sum(branches: branches) : .concatenation(branches: branches)
        default:
            let near = nearest(String(line.key), among: words).map { "; did you mean `\($0)`?" } ?? ""
            throw wrong("unknown layer, none of \(words.joined(separator: ", "))\(near)")
        }
    }

    /// The word that the fewest changes of letters lead to, when these are at most a third of it.
    static func nearest(_ word: String, among words: [String]) -> String? {
        let distances = words.map { ($0, distance(Array(word.utf8), Array($0.utf8))) }
        guard let best = distances.min(by: { $0.1 < $1.1 }), best.1 * 3 <= best.0.utf8.count else { return nil }
        return best.0
    }

    /// Changes of a character, and exchanges of two neighbours, that make one word the other (optimal string alignment).
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var rows = [[Int]](repeating: [Int](repeating: 0, count: b.count + 1), count: a.count + 1)
        for i in 0...a.count { rows[i][0] = i }
        for j in 0...b.count { rows[0][j] = j }
        for i in a.indices {
            for j in b.indices {
                var least = min(rows[i][j + 1] + 1, rows[i + 1][j] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, rows[i - 1][j - 1] + 1) }
                rows[i + 1][j + 1] = least
            }
        }
        return rows[a.count][b.count]
    }
}
