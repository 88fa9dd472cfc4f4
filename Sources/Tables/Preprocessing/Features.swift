import Core

/// One column of a feature matrix.
public struct FeatureDescription: Sendable, Codable, Equatable {
    public enum Kind: Sendable, Codable, Equatable {
        /// A quantity.
        case number
        /// The position of a level, counted from 0; NaN when it is missing or was not seen in training.
        case category(levels: [String])
        /// The number of the event at a step of a sequence, from 0 to below `count`; NaN behind the last. The steps of a
        /// sequence are beside each other and have one source.
        case event(count: Int)
    }

    /// Name of the feature, such as `age` or `job=student`.
    public let name: String
    public let kind: Kind
    /// The column of the table that it was made from.
    public let source: String

    public init(name: String, kind: Kind = .number, source: String? = nil) {
        self.name = name
        self.kind = kind
        self.source = source ?? name
    }
}

/// What learners learn from: rows of numbers, with names.
public struct Features: Sendable {
    public enum Values: Sendable {
        /// NaN is missing, where the recipe leaves missing values in.
        case dense(HostMatrix)
        /// What is not there is 0.
        case sparse(HostSparseMatrix)
    }

    public let columns: [FeatureDescription]
    public let values: Values

    public var rows: Int {
        switch values {
        case .dense(let matrix): matrix.rows
        case .sparse(let matrix): matrix.rows
        }
    }

    /// There must be a description for each column of the values.
    public init(columns: [FeatureDescription], values: Values) {
        let count =
            switch values {
            case .dense(let matrix): matrix.columns
            case .sparse(let matrix): matrix.columns
            }
        precondition(columns.count == count)
        self.columns = columns
        self.values = values
    }

    /// Features of a dense matrix, named `x0`, `x1`, … unless names are given.
    public init(_ matrix: HostMatrix, names: [String]? = nil) {
        self.init(
            columns: (0..<matrix.columns).map { FeatureDescription(name: names?[$0] ?? "x\($0)") },
            values: .dense(matrix))
    }

    public var names: [String] { columns.map(\.name) }

    /// The values as a dense matrix; a copy when they are sparse. O(rows · columns).
    public var dense: HostMatrix {
        switch values {
        case .dense(let matrix): return matrix
        case .sparse(let matrix):
            let result = HostMatrix(rows: matrix.rows, columns: matrix.columns)
            for row in 0..<matrix.rows {
                let target = result.row(row)
                for entry in matrix.range(ofRow: row) {
                    target[Int(matrix.columnIndices[entry])] = matrix.values[entry]
                }
            }
            return result
        }
    }

    /// Some rows, in the order given; a row may be named several times. O(entries picked).
    public func selecting(rows picked: [Int]) -> Features {
        switch values {
        case .dense(let matrix):
            let result = HostMatrix(
                rows: picked.count, columns: matrix.columns,
                storage: HostBuffer(uninitializedCount: picked.count * matrix.columns))
            for (place, row) in picked.enumerated() { _ = result.row(place).update(fromContentsOf: matrix.row(row)) }
            return Features(columns: columns, values: .dense(result))
        case .sparse(let matrix):
            let pointers = HostBuffer<Int64>(uninitializedCount: picked.count + 1)
            pointers[0] = 0
            for (place, row) in picked.enumerated() {
                pointers[place + 1] = pointers[place] + Int64(matrix.range(ofRow: row).count)
            }
            let entries = Int(pointers[picked.count])
            let indices = HostBuffer<Int32>(uninitializedCount: entries)
            let numbers = HostBuffer<Float>(uninitializedCount: entries)
            for (place, row) in picked.enumerated() {
                let (range, start) = (matrix.range(ofRow: row), Int(pointers[place]))
                (indices.baseAddress + start).update(
                    from: matrix.columnIndices.baseAddress + range.lowerBound, count: range.count)
                (numbers.baseAddress + start).update(
                    from: matrix.values.baseAddress + range.lowerBound, count: range.count)
            }
            return Features(
                columns: columns,
                values: .sparse(
                    HostSparseMatrix(
                        rows: picked.count, columns: matrix.columns, rowPointers: pointers, columnIndices: indices,
                        values: numbers)))
        }
    }
}
