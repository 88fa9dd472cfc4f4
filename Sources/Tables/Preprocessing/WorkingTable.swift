import Core

/// A table on its way to features: columns, and what steps have encoded already.
struct WorkingTable {
    enum Item {
        case column(Column, source: String)
        /// One column of 0 and 1 for each name; a row has a 1 at its code, none at −1.
        case indicators(codes: [Int32], names: [String], source: String)
        case sparse(HostSparseMatrix, names: [String], source: String)
        /// The numbers of events, as many a row as steps are read.
        case sequence(codes: [Int32], EventVocabulary, name: String, source: String)
    }

    let rows: Int
    var items: [Item]

    init(_ table: Table) {
        rows = table.rowCount
        items = table.columns.map { .column($0, source: $0.name) }
    }

    /// Columns that are not encoded yet.
    var columns: [Column] {
        items.compactMap { if case .column(let column, _) = $0 { column } else { nil } }
    }

    func place(of name: String) -> Int? {
        items.firstIndex { if case .column(let column, _) = $0 { column.name == name } else { false } }
    }

    func column(at place: Int) -> (column: Column, source: String)? {
        if case .column(let column, let source) = items[place] { (column, source) } else { nil }
    }

    /// Puts items in the place of one.
    mutating func replace(_ place: Int, with new: [Item]) { items.replaceSubrange(place...place, with: new) }

    // MARK: Features

    /// Widths of indicators and sparse parts together beyond which features are sparse.
    private static let denseLimit = 512

    /// Names and kinds of the features, and whether they are to be sparse.
    func descriptions(_ notes: inout [String]) -> (features: [FeatureDescription], sparse: Bool) {
        var result: [FeatureDescription] = []
        var encoded = 0
        for item in items {
            switch item {
            case .column(let column, let source):
                switch column.values {
                case .number, .integer, .boolean, .date:
                    result.append(FeatureDescription(name: column.name, source: source))
                case .category(_, let levels):
                    result.append(
                        FeatureDescription(name: column.name, kind: .category(levels: levels), source: source))
                case .text, .identifier:
                    notes.append("column '\(column.name)' is \(column.type.rawValue) and left out")
                }
            case .indicators(_, let names, let source), .sparse(_, let names, let source):
                encoded += names.count
                result += names.map { FeatureDescription(name: $0, source: source) }
            case .sequence(_, let events, let name, let source):
                result += events.names(name).map {
                    FeatureDescription(name: $0, kind: .event(count: events.count), source: source)
                }
            }
        }
        return (result, encoded > WorkingTable.denseLimit)
    }

    /// The features that a recipe was fitted for.
    func features(_ descriptions: [FeatureDescription], sparse: Bool) throws -> Features {
        var dense: [(start: Int, values: [Double])] = []
        var indicators: [(start: Int, codes: [Int32])] = []
        var parts: [(start: Int, matrix: HostSparseMatrix)] = []
        var width = 0
        for item in items {
            switch item {
            case .column(let column, _):
                if let numbers = column.numbers {
                    dense.append((width, numbers))
                } else if case .category(let codes, _) = column.values {
                    dense.append((width, codes.map { $0 < 0 ? .nan : Double($0) }))
                } else {
                    continue
                }
                width += 1
            case .indicators(let codes, let names, _):
                indicators.append((width, codes))
                width += names.count
            case .sparse(let matrix, let names, _):
                parts.append((width, matrix))
                width += names.count
            case .sequence(let codes, let events, _, _):
                for step in 0..<events.length {
                    dense.append(
                        (
                            width + step,
                            (0..<rows).map { row in
                                let code = codes[row * events.length + step]
                                return code < 0 ? .nan : Double(code)
                            }
                        ))
                }
                width += events.length
            }
        }
        precondition(width == descriptions.count)
        for (start, values) in dense {
            if let row = values.firstIndex(where: { abs(Float($0)) == .infinity }) {
                throw DataError(
                    "the value \(values[row]) in row \(row + 1) is too large for float32; add a log or clip step",
                    column: descriptions[start].name)
            }
        }
        return Features(
            columns: descriptions,
            values: sparse
                ? .sparse(sparseMatrix(width, dense, indicators, parts))
                : .dense(denseMatrix(width, dense, indicators, parts)))
    }

    private func denseMatrix(
        _ width: Int, _ dense: [(start: Int, values: [Double])], _ indicators: [(start: Int, codes: [Int32])],
        _ parts: [(start: Int, matrix: HostSparseMatrix)]
    ) -> HostMatrix {
        let result = HostMatrix(rows: rows, columns: width)
        let cells = result.storage.baseAddress
        // Some rows at a time, so that the target stays in the cache while the columns are gone through.
        for first in stride(from: 0, to: rows, by: 512) {
            let range = first..<min(first + 512, rows)
            for (start, values) in dense {
                values.withUnsafeBufferPointer { for row in range { cells[row * width + start] = Float($0[row]) } }
            }
            for (start, codes) in indicators {
                codes.withUnsafeBufferPointer {
                    for row in range where $0[row] >= 0 { cells[row * width + start + Int($0[row])] = 1 }
                }
            }
            for (start, matrix) in parts {
                for row in range {
                    for entry in matrix.range(ofRow: row) {
                        cells[row * width + start + Int(matrix.columnIndices[entry])] = matrix.values[entry]
                    }
                }
            }
        }
        return result
    }

    private func sparseMatrix(
        _ width: Int, _ dense: [(start: Int, values: [Double])], _ indicators: [(start: Int, codes: [Int32])],
        _ parts: [(start: Int, matrix: HostSparseMatrix)]
    ) -> HostSparseMatrix {
        let pointers = HostBuffer<Int64>(repeating: 0, count: rows + 1)
        for row in 0..<rows {
            var count = 0
            for (_, values) in dense where values[row] != 0 { count += 1 }
            for (_, codes) in indicators where codes[row] >= 0 { count += 1 }
            for (_, matrix) in parts { count += matrix.range(ofRow: row).count }
            pointers[row + 1] = pointers[row] + Int64(count)
        }
        let indices = HostBuffer<Int32>(uninitializedCount: Int(pointers[rows]))
        let values = HostBuffer<Float>(uninitializedCount: Int(pointers[rows]))
        // The parts in the order of their columns, so that the indices of a row ascend.
        enum Part { case dense([Double]), indicators([Int32]), sparse(HostSparseMatrix) }
        let ordered =
            (dense.map { ($0.start, Part.dense($0.values)) } + indicators.map { ($0.start, .indicators($0.codes)) }
            + parts.map { ($0.start, .sparse($0.matrix)) }).sorted { $0.0 < $1.0 }
        for row in 0..<rows {
            var place = Int(pointers[row])
            func put(_ column: Int, _ value: Float) {
                indices[place] = Int32(column)
                values[place] = value
                place += 1
            }
            for (start, part) in ordered {
                switch part {
                case .dense(let numbers): if numbers[row] != 0 { put(start, Float(numbers[row])) }
                case .indicators(let codes): if codes[row] >= 0 { put(start + Int(codes[row]), 1) }
                case .sparse(let matrix):
                    for entry in matrix.range(ofRow: row) {
                        put(start + Int(matrix.columnIndices[entry]), matrix.values[entry])
                    }
                }
            }
        }
        return HostSparseMatrix(
            rows: rows, columns: width, rowPointers: pointers, columnIndices: indices, values: values)
    }

    // MARK: Table

    /// The columns as a table; indicators and sparse parts as a column for each name.
    func table() throws -> Table {
        var columns: [Column] = []
        for item in items {
            switch item {
            case .column(let column, _): columns.append(column)
            case .indicators(let codes, let names, _):
                for (place, name) in names.enumerated() {
                    columns.append(Column(name, .integer(codes.map { $0 == Int32(place) ? 1 : 0 })))
                }
            case .sparse(let matrix, let names, _):
                guard rows * names.count <= 1 << 28 else {
                    throw DataError(
                        "\(rows) rows of \(names.count) columns made from text are too many for a table; use a smaller vocabulary",
                        column: names.first)
                }
                var cells = [[Double]](repeating: [Double](repeating: 0, count: rows), count: names.count)
                for row in 0..<rows {
                    for entry in matrix.range(ofRow: row) {
                        cells[Int(matrix.columnIndices[entry])][row] = Double(matrix.values[entry])
                    }
                }
                for (place, name) in names.enumerated() { columns.append(Column(name, .number(cells[place]))) }
            case .sequence(let codes, let events, let name, _):
                let levels = events.events + ["(unseen)"]
                for (step, stepName) in events.names(name).enumerated() {
                    let own = (0..<rows).map { codes[$0 * events.length + step] }
                    columns.append(Column(stepName, .category(codes: own, levels: levels)))
                }
            }
        }
        return try Table(columns, rowCount: rows)
    }
}
