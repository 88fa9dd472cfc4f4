import Charts
import Core

extension AveragedTrees {
    /// A drawing of a tree: every node with its question, its rows and its prediction, down to a depth.
    ///
    /// Yes goes left. Colours run from blue (the least prediction of the tree, or few of the second class) to orange
    /// (the largest, or many); with several classes each has its own.
    ///
    /// - Parameters:
    ///   - names: names of columns and levels.
    ///   - labels: names of the classes; empty for numbers.
    ///   - depth: levels of questions at most; what lies below is left out and said to be.
    /// - Returns: an SVG document.
    public func drawing(names: TreeFeatureNames, labels: [String], tree: Int = 0, depth: Int = 4) -> String {
        let first = ensemble.range(ofTree: tree).lowerBound
        let values = nodeValues(tree: tree)
        var boxes: [(node: Int, x: Double, level: Int, parent: Int)] = []
        var nextLeaf = 0.0
        var levels = 0

        /// Lays out a node and what is below it; returns its place.
        func place(_ node: Int, _ level: Int, _ parent: Int) -> Double {
            let own = boxes.count
            boxes.append((node, 0, level, parent))
            levels = max(levels, level)
            if ensemble.isLeaf(first + node, inTree: tree) || level == depth {
                boxes[own].x = nextLeaf
                nextLeaf += 1
            } else {
                let left = Int(ensemble.nodes[first + node].left)
                let a = place(left, level + 1, own), b = place(left + 1, level + 1, own)
                boxes[own].x = (a + b) / 2
            }
            return boxes[own].x
        }
        _ = place(0, 0, -1)

        let (width, height, gapX, gapY, margin) = (176.0, 58.0, 12.0, 42.0, 16.0)
        var document = SVGDocument(width: max(nextLeaf * (width + gapX) - gapX, width) + 2 * margin)
        func x(_ box: Int) -> Double { margin + boxes[box].x * (width + gapX) }
        func y(_ box: Int) -> Double { margin + Double(boxes[box].level) * (height + gapY) }
        for box in boxes.indices where boxes[box].parent >= 0 {
            let parent = boxes[box].parent
            let isLeft = boxes[box].node == Int(ensemble.nodes[first + boxes[parent].node].left)
            let from = (x: x(parent) + width / 2, y: y(parent) + height)
            let to = (x: x(box) + width / 2, y: y(box))
            document.line([from, to], color: "#888888", width: 1.2)
            document.text(
                isLeft ? "yes" : "no", x: (from.x + to.x) / 2 + (isLeft ? -4 : 4), y: (from.y + to.y) / 2, size: 10,
                anchor: isLeft ? .end : .start, color: "#555555")
        }
        let numbers = values.map { $0[0] }
        let range = (numbers.min() ?? 0, numbers.max() ?? 1)
        for box in boxes.indices {
            let node = boxes[box].node
            let isLeaf = ensemble.isLeaf(first + node, inTree: tree)
            let question =
                isLeaf
                ? "" : ensemble.condition(first + node, left: true, names) + (boxes[box].level == depth ? " …" : "")
            document.rectangle(
                x: x(box), y: y(box), width: width, height: height, fill: color(values[node], range),
                stroke: isLeaf ? "#222222" : "#888888", title: question)
            let center = x(box) + width / 2
            if !isLeaf { document.text(shortened(question), x: center, y: y(box) + 17, anchor: .middle, bold: true) }
            let rows = TreeFeatureNames.text((Double(ensemble.cover[first + node]) * 10).rounded() / 10)
            document.text("\(rows) rows", x: center, y: y(box) + 33, size: 11, anchor: .middle)
            document.text(shortened(prediction(values[node], labels)), x: center, y: y(box) + 49, anchor: .middle)
        }
        return document.rendered(height: 2 * margin + Double(levels) * (height + gapY) + height)
    }

    /// What fits into a box: characters of East Asian scripts take the room of two.
    private func shortened(_ text: String) -> String {
        var (result, room) = ("", 27)
        for character in text {
            room -= character.unicodeScalars.first.map { $0.value >= 0x2E80 } == true ? 2 : 1
            if room < 0 { return result + "…" }
            result.append(character)
        }
        return result
    }

    private func color(_ values: [Double], _ range: (Double, Double)) -> String {
        if classes > 2 {
            let best = values.indices.max { (values[$0], $1) < (values[$1], $0) } ?? 0
            let palette = ["#cfe2f3", "#fce5cd", "#d9ead3", "#ead1dc", "#fff2cc", "#d9d2e9", "#d0e0e3", "#f4cccc"]
            return palette[best % palette.count]
        }
        let place = range.1 > range.0 ? (values[0] - range.0) / (range.1 - range.0) : 0.5
        // From a light blue over white to a light orange.
        let (low, high) = ((159.0, 197.0, 232.0), (246.0, 178.0, 107.0))
        func mix(_ a: Double, _ b: Double) -> Int {
            Int((place < 0.5 ? a + (255 - a) * 2 * place : 255 + (b - 255) * (2 * place - 1)).rounded())
        }
        func hex(_ value: Int) -> String {
            let digits = Array("0123456789abcdef")
            return "\(digits[value / 16])\(digits[value % 16])"
        }
        return "#" + hex(mix(low.0, high.0)) + hex(mix(low.1, high.1)) + hex(mix(low.2, high.2))
    }
}
