import Compute
import Core

/// Attention and recurrent layers.
enum SequenceCases {
    private struct Shape {
        var sequences: Int, length: Int, heads: Int, width: Int
        var text: String { "\(sequences) of \(length), \(heads) heads of \(width)" }
    }

    private static func shapes(_ sweep: Sweep) -> [Shape] {
        var shapes = [(1, 1, 1, 1), (2, 3, 1, 4), (2, 13, 2, 5), (1, 17, 3, 16)]
        if sweep != .minimal { shapes += [(3, 50, 2, 32), (0, 5, 1, 4), (2, 65, 1, 33), (5, 8, 4, 12)] }
        if sweep == .full {
            shapes += [(1, 129, 2, 64), (2, 200, 1, 17), (70, 7, 2, 3), (4, 33, 3, 48), (2, 64, 1, 128)]
        }
        return shapes.map { Shape(sequences: $0.0, length: $0.1, heads: $0.2, width: $0.3) }
    }

    static func attention(_ sweep: Sweep) -> [ConformanceCase] {
        shapes(sweep).enumerated().flatMap { index, shape in
            (0..<4).filter { sweep == .full || (index + $0) % 2 == 0 }.map { kind in
                attention(shape, causal: kind & 1 != 0, padded: kind & 2 != 0, Layout.all[(index + kind) % 3])
            }
        }
    }

    private static func attention(_ shape: Shape, causal: Bool, padded: Bool, _ layout: Layout) -> ConformanceCase {
        let detail = "\(shape.text)\(causal ? ", causal" : "")\(padded ? ", padded" : "") \(layout)"
        return ConformanceCase(.attention, detail) { run throws(ComputeError) in
            let (rows, columns) = (shape.sequences * shape.length, shape.heads * shape.width)
            let tables = (0..<3).map { _ in run.uniform(rows * columns, -2, 2) }
            // One sequence that nobody sees anything of, and single rows that are not there.
            let padding = (0..<rows).map { Int32($0 < shape.length || $0 % 5 == 3 ? -1 : 7) }
            var operands: [Operand] = []
            for (table, name) in zip(tables, ["queries", "keys", "values"]) {
                operands.append(try run.input(table, rows: rows, columns: columns, layout, name))
            }
            let hidden = padded ? try run.input(padding, .padded) : nil
            let probabilities = try run.output(
                rows: rows * shape.heads, columns: shape.length, .padded, "probabilities")
            let output = try run.output(rows: rows, columns: columns, layout)
            let scale = 1 / Float(shape.width).squareRoot()
            run.work = 4 * Double(rows * shape.length * columns)
            let (q, k, v) = (operands[0].matrix, operands[1].matrix, operands[2].matrix)
            try run.perform { stream throws(ComputeError) in
                try stream.attention(
                    queries: q, keys: k, values: v, length: shape.length, heads: shape.heads, causal: causal,
                    padding: hidden?.matrix, probabilities: probabilities.matrix, into: output.matrix)
            }
            let exact = tables.map { OracleMatrix(rows: rows, columns: columns, $0) }
            let (expected, sums, magnitudes) = Oracle.attention(
                queries: exact[0], keys: exact[1], values: exact[2], length: shape.length, heads: shape.heads,
                causal: causal, scale: Double(scale), padding: padded ? padding.map(Int.init) : nil)
            // A score's error passes to its own probability and, through the sum, to all of the row.
            let own = Tolerance.sum(shape.length) + 32 * Tolerance.unit
            let errors = (0..<expected.rows).map {
                own + (2 * Tolerance.sum(shape.width) + 4 * Tolerance.unit) * (magnitudes.row($0).max() ?? 0)
            }
            run.compare(probabilities, expected.elements) { errors[$0 / shape.length] * expected.elements[$0] }
            run.compare(output, sums.elements) { place in
                let (row, column) = (place / columns, place % columns)
                let first = row / shape.length * shape.length
                let line =
                    (row / shape.length * shape.heads + column / shape.width) * shape.length + row % shape.length
                var size = 0.0
                for key in 0..<shape.length { size += expected[line, key] * abs(exact[2][first + key, column]) }
                return (errors[line] + Tolerance.sum(shape.length)) * size
            }
        }
    }

    static func attentionGradient(_ sweep: Sweep) -> [ConformanceCase] {
        shapes(sweep).enumerated().flatMap { index, shape in
            [false, true].map { attentionGradient(shape, causal: $0, Layout.all[(index + ($0 ? 1 : 0)) % 3]) }
        }
    }

    private static func attentionGradient(_ shape: Shape, causal: Bool, _ layout: Layout) -> ConformanceCase {
        let detail = "\(shape.text)\(causal ? ", causal" : "") \(layout)"
        return ConformanceCase(.attentionGradient, detail) { run throws(ComputeError) in
            let (rows, columns) = (shape.sequences * shape.length, shape.heads * shape.width)
            let tables = (0..<4).map { _ in run.uniform(rows * columns, -1, 1) }
            var weights = run.uniform(rows * shape.heads * shape.length, 0.1, 1)
            for line in 0..<rows * shape.heads {
                let seen = causal ? line % shape.length + 1 : shape.length
                let range = line * shape.length..<(line + 1) * shape.length
                for place in range where place >= range.lowerBound + seen || (seen > 2 && place % 7 == 3) {
                    weights[place] = 0
                }
                let sum = weights[range].reduce(0, +)
                for place in range where sum > 0 { weights[place] /= sum }
            }
            var operands: [Operand] = []
            for (table, name) in zip(tables, ["queries", "keys", "values", "gradient"]) {
                operands.append(try run.input(table, rows: rows, columns: columns, layout, name))
            }
            let p = try run.input(
                weights, rows: rows * shape.heads, columns: shape.length, .padded, "probabilities")
            let scores = try run.output(rows: rows * shape.heads, columns: shape.length, layout, "scores")
            var outputs: [Operand] = []
            for name in ["query gradient", "key gradient", "value gradient"] {
                outputs.append(try run.output(rows: rows, columns: columns, .padded, name))
            }
            run.work = 8 * Double(rows * shape.length * columns)
            let inputs = operands.map(\.matrix)
            let written = outputs.map(\.matrix)
            try run.perform { stream throws(ComputeError) in
                try stream.attentionGradient(
                    queries: inputs[0], keys: inputs[1], values: inputs[2], length: shape.length, heads: shape.heads,
                    causal: causal, probabilities: p.matrix, outputGradient: inputs[3], scoreGradients: scores.matrix,
                    queryGradient: written[0], keyGradient: written[1], valueGradient: written[2])
            }
            let exact = tables.map { OracleMatrix(rows: rows, columns: columns, $0) }
            let (expected, errors) = Oracle.attentionGradient(
                queries: exact[0], keys: exact[1], values: exact[2],
                probabilities: OracleMatrix(rows: rows * shape.heads, columns: shape.length, weights),
                outputGradient: exact[3], length: shape.length, heads: shape.heads,
                scale: Double(1 / Float(shape.width).squareRoot()))
            run.compare(scores, expected.scores.elements) { errors.scores.elements[$0] }
            run.compare(outputs[0], expected.queries.elements) { errors.queries.elements[$0] }
            run.compare(outputs[1], expected.keys.elements) { errors.keys.elements[$0] }
            run.compare(outputs[2], expected.values.elements) { errors.values.elements[$0] }
        }
    }

    private static func sizes(_ sweep: Sweep) -> [(Int, Int)] {
        var sizes = [(1, 1), (3, 5), (7, 17)]
        if sweep != .minimal { sizes += [(0, 4), (33, 16), (129, 64), (65, 33)] }
        if sweep == .full { sizes += [(1025, 3), (2, 257), (128, 128)] }
        return sizes
    }

    static func recurrentStep(_ sweep: Sweep) -> [ConformanceCase] {
        sizes(sweep).enumerated().flatMap { index, size in
            RecurrentCell.allCases.flatMap { cell in
                [false, true].map { first in recurrentStep(cell, size, first: first, Layout.all[index % 3]) }
            }
        }
    }

    private static func recurrentStep(
        _ cell: RecurrentCell, _ size: (Int, Int), first: Bool, _ layout: Layout
    ) -> ConformanceCase {
        let (rows, units) = size
        let detail = "\(cell) \(rows) × \(units)\(first ? ", first" : "") \(layout)"
        return ConformanceCase(.recurrentStep, detail) { run throws(ComputeError) in
            let (x, r) = (run.uniform(rows * cell.gates * units, -3, 3), run.uniform(rows * cell.gates * units, -3, 3))
            let (h, old) = (run.uniform(rows * units), run.uniform(rows * cell.kept * units, -2, 2))
            let inputs = try run.input(x, rows: rows, columns: cell.gates * units, layout, "inputs")
            let recurrent = try run.input(r, rows: rows, columns: cell.gates * units, .padded, "recurrent")
            let previous = try run.input(h, rows: rows, columns: units, layout, "previous")
            let before =
                first ? nil : try run.input(old, rows: rows, columns: cell.kept * units, layout, "previous kept")
            let kept = try run.output(rows: rows, columns: cell.kept * units, layout, "kept")
            let output = try run.output(rows: rows, columns: units, .padded)
            run.work = Double(40 * rows * units * cell.gates)
            try run.perform { stream throws(ComputeError) in
                try stream.recurrentStep(
                    cell, inputs: inputs.matrix, recurrent: recurrent.matrix, previous: previous.matrix,
                    previousKept: before?.matrix, kept: kept.matrix, into: output.matrix)
            }
            var (expectedKept, expected): ([Double], [Double]) = ([], [])
            for row in 0..<rows {
                func part(_ values: [Float], _ columns: Int) -> [Double] {
                    values[row * columns..<(row + 1) * columns].map(Double.init)
                }
                let memory =
                    first || cell != .lstm
                    ? [Double](repeating: 0, count: units) : Array(part(old, cell.kept * units).suffix(units))
                let result = Oracle.recurrentStep(
                    cell, inputs: part(x, cell.gates * units), recurrent: part(r, cell.gates * units),
                    previous: part(h, units), memory: memory)
                expectedKept += result.kept
                expected += result.output
            }
            // Arguments of the functions are sums of at most 6; errors pass through two functions at most.
            let error = 200 * Tolerance.unit
            run.compare(kept, expectedKept) { _ in error }
            run.compare(output, expected) { _ in error }
        }
    }

    static func recurrentStepGradient(_ sweep: Sweep) -> [ConformanceCase] {
        sizes(sweep).enumerated().flatMap { index, size in
            RecurrentCell.allCases.flatMap { cell in
                (0..<3).map { place in gradient(cell, size, place: place, Layout.all[(index + place) % 3]) }
            }
        }
    }

    /// - Parameter place: 0 for the first step of a sequence, 1 for one between others, 2 for the last.
    private static func gradient(
        _ cell: RecurrentCell, _ size: (Int, Int), place: Int, _ layout: Layout
    ) -> ConformanceCase {
        let (rows, units) = size
        let detail = "\(cell) \(rows) × \(units), \(["first", "middle", "last"][place]) \(layout)"
        return ConformanceCase(.recurrentStepGradient, detail) { run throws(ComputeError) in
            let h = run.uniform(rows * units)
            let old = run.uniform(rows * cell.kept * units, -2, 2)
            // Gates between 0 and 1, the other values anything that they can be.
            let present = run.uniform(rows * cell.kept * units, 0.01, 0.99)
            let (above, behind) = (run.uniform(rows * units), run.uniform(rows * units))
            let inner = run.uniform(rows * units)
            let previous = try run.input(h, rows: rows, columns: units, layout, "previous")
            let before =
                place == 0
                ? nil : try run.input(old, rows: rows, columns: cell.kept * units, layout, "previous kept")
            let kept = try run.input(present, rows: rows, columns: cell.kept * units, .padded, "kept")
            let outer = try run.input(above, rows: rows, columns: units, layout, "gradient")
            let carried = place == 2 ? nil : try run.input(behind, rows: rows, columns: units, .padded, "carried")
            let hasMemory = cell == .lstm && place != 2
            let memoryGradient = try run.output(
                rows: rows, columns: units, layout, initial: hasMemory ? inner : nil, "memory gradient")
            let inputGradient = try run.output(rows: rows, columns: cell.gates * units, layout, "input gradient")
            let recurrentGradient = try run.output(
                rows: rows, columns: cell.gates * units, .padded, "recurrent gradient")
            let previousGradient = try run.output(rows: rows, columns: units, layout, "previous gradient")
            run.work = Double(20 * rows * units * cell.gates)
            try run.perform { stream throws(ComputeError) in
                try stream.recurrentStepGradient(
                    cell, previous: previous.matrix, previousKept: before?.matrix, kept: kept.matrix,
                    outputGradient: outer.matrix, carried: carried?.matrix, memoryGradient: memoryGradient.matrix,
                    hasMemoryGradient: hasMemory, inputGradient: inputGradient.matrix,
                    recurrentGradient: recurrentGradient.matrix, previousGradient: previousGradient.matrix)
            }
            var expected: [(inputs: [Double], recurrent: [Double], previous: [Double], memory: [Double])] = []
            for row in 0..<rows {
                func part(_ values: [Float], _ columns: Int) -> [Double] {
                    values[row * columns..<(row + 1) * columns].map(Double.init)
                }
                let none = [Double](repeating: 0, count: units)
                expected.append(
                    Oracle.recurrentStepGradient(
                        cell, kept: part(present, cell.kept * units), previous: part(h, units),
                        memory: place == 0 || cell != .lstm
                            ? none : Array(part(old, cell.kept * units).suffix(units)),
                        gradient: zip(part(above, units), place == 2 ? none : part(behind, units)).map { $0 + $1 },
                        memoryGradient: hasMemory ? part(inner, units) : none))
            }
            // Products of at most six factors, each at most 3.
            let error = 64 * Tolerance.unit
            run.compare(inputGradient, expected.flatMap(\.inputs)) { _ in error }
            run.compare(recurrentGradient, expected.flatMap(\.recurrent)) { _ in error }
            run.compare(previousGradient, expected.flatMap(\.previous)) { _ in error }
            if cell == .lstm { run.compare(memoryGradient, expected.flatMap(\.memory)) { _ in error } }
        }
    }
}
