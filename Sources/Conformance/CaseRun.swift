import Compute
import Core

/// The largest deviation of a case, in relation to what was allowed.
struct WorstDeviation {
    var deviation = 0.0
    var tolerance = 0.0
    var ratio = 0.0
    var message = ""
}

/// One execution of a case on a stream: its random numbers, its tables, its verdicts.
final class CaseRun {
    let stream: Stream
    private let deviceIsIdle: Bool
    private let seed: UInt64
    private var draws: UInt64 = 0
    private var tables: [CaseTable] = []
    private var results: [ObjectIdentifier: [Int32]] = [:]

    private(set) var failures: [String] = []
    private(set) var worst = WorstDeviation()
    private(set) var seconds = Double.infinity
    /// Floating-point operations, or bytes, for the speed of the case.
    var work = 0.0

    init(stream: Stream, name: String, deviceIsIdle: Bool) {
        self.stream = stream
        self.deviceIsIdle = deviceIsIdle
        // FNV-1a: a case has the same numbers wherever it stands in a suite.
        seed = name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    // MARK: Numbers

    /// Uniforms in [low, high), another sequence at every call.
    func uniform(_ count: Int, _ low: Float = -1, _ high: Float = 1) -> [Float] {
        let generator = Philox(seed: seed, stream: draws)
        draws += 1
        return (0..<count).map { low + (high - low) * generator.uniform(UInt64($0)) }
    }

    /// Integers of a range, whose sums and products float32 holds exactly.
    func integers(_ count: Int, _ range: ClosedRange<Int>) -> [Int] {
        let generator = Philox(seed: seed, stream: draws)
        draws += 1
        return (0..<count).map { range.lowerBound + generator.integer(UInt64($0), below: range.count) }
    }

    // MARK: Operands

    /// A matrix that the operation must leave as it is.
    func input(
        _ values: [Float], rows: Int, columns: Int, _ layout: Layout = .packed, _ name: String = "input"
    ) throws(ComputeError) -> Operand {
        try operand(name, values.map(Self.word), .float32, rows, columns, layout, written: false)
    }

    /// An int32 vector that the operation must leave as it is.
    func input(_ values: [Int32], _ layout: Layout = .packed) throws(ComputeError) -> Operand {
        try operand("indices", values, .int32, 1, values.count, layout, written: false)
    }

    /// An int32 matrix that the operation must leave as it is.
    func input(
        _ values: [Int32], rows: Int, columns: Int, _ layout: Layout = .packed, _ name: String = "ids"
    ) throws(ComputeError) -> Operand {
        try operand(name, values, .int32, rows, columns, layout, written: false)
    }

    /// A vector of one row.
    func vector(_ values: [Float], _ layout: Layout = .packed, _ name: String = "vector") throws(ComputeError)
        -> Operand
    {
        try input(values, rows: 1, columns: values.count, layout, name)
    }

    /// A matrix that the operation writes; NaN everywhere unless it is to be read.
    func output(
        rows: Int, columns: Int, _ layout: Layout = .packed, initial: [Float]? = nil, _ name: String = "output"
    ) throws(ComputeError) -> Operand {
        let words = initial?.map(Self.word) ?? Array(repeating: Self.word(.nan), count: rows * columns)
        return try operand(name, words, .float32, rows, columns, layout, written: true)
    }

    /// An int32 matrix that the operation writes.
    func integerOutput(rows: Int, columns: Int, _ layout: Layout = .packed) throws(ComputeError) -> Operand {
        let words = Array(repeating: CaseTable.canary, count: rows * columns)
        return try operand("integer output", words, .int32, rows, columns, layout, written: true)
    }

    /// Two windows of columns on one table: an input and, beside it, an output of the same number of rows.
    func windows(
        _ values: [Float], rows: Int, columns: Int, outputColumns: Int, gap: Int = 2
    ) throws(ComputeError) -> (input: Operand, output: Operand) {
        let stride = columns + gap + outputColumns + 1
        var words = Array(repeating: CaseTable.canary, count: rows * stride)
        for row in 0..<rows {
            for column in 0..<columns { words[row * stride + column] = Self.word(values[row * columns + column]) }
        }
        let table = try table("windows", words, .float32)
        func window(_ offset: Int, _ columns: Int) throws(ComputeError) -> Operand {
            Operand(
                table: table,
                matrix: try Matrix(
                    storage: table.whole.storage, elementType: .float32, offset: offset, rows: rows, columns: columns,
                    rowStride: stride))
        }
        let output = try window(columns + gap, outputColumns)
        allowWriting(output)
        return (try window(0, columns), output)
    }

    /// The sparse matrix on the device, guarded against writing, and the same for the oracle.
    func sparse(
        _ matrix: HostSparseMatrix, rows: Range<Int>? = nil
    ) throws(ComputeError) -> (device: SparseMatrix, oracle: OracleSparseMatrix, values: Operand) {
        let oracle = OracleSparseMatrix(matrix, rows: rows)
        let whole = try stream.wrap(matrix)
        let pointers = matrix.rowPointers.array.flatMap {
            [Int32(truncatingIfNeeded: $0), Int32(truncatingIfNeeded: $0 >> 32)]
        }
        tables.append(CaseTable(name: "row pointers", whole: whole.rowPointers, words: pointers))
        tables.append(
            CaseTable(name: "column indices", whole: whole.columnIndices, words: matrix.columnIndices.array))
        let values = CaseTable(name: "values", whole: whole.values, words: matrix.values.array.map(Self.word))
        tables.append(values)
        return (rows.map { whole.rows($0) } ?? whole, oracle, Operand(table: values, matrix: whole.values))
    }

    /// Lets the operation change a window (of the values of a sparse matrix, for example).
    func allowWriting(_ operand: Operand) {
        for row in 0..<operand.matrix.rows {
            for column in 0..<operand.matrix.columns { operand.table.writable[operand.place(row, column)] = true }
        }
    }

    private func operand(
        _ name: String, _ values: [Int32], _ type: ElementType, _ rows: Int, _ columns: Int, _ layout: Layout,
        written: Bool
    ) throws(ComputeError) -> Operand {
        let stride = columns + layout.gap
        let span = rows == 0 || columns == 0 ? 0 : (rows - 1) * stride + columns
        var words = Array(repeating: CaseTable.canary, count: layout.lead + span + layout.tail)
        for row in 0..<rows {
            for column in 0..<columns { words[layout.lead + row * stride + column] = values[row * columns + column] }
        }
        let table = try table(name, words, type)
        let operand = Operand(
            table: table,
            matrix: try Matrix(
                storage: table.whole.storage, elementType: type, offset: layout.lead, rows: rows, columns: columns,
                rowStride: stride))
        if written { allowWriting(operand) }
        return operand
    }

    private func table(_ name: String, _ words: [Int32], _ type: ElementType) throws(ComputeError) -> CaseTable {
        let whole = try stream.allocate(rows: 1, columns: words.count, type)
        let table = CaseTable(name: name, whole: whole, words: words)
        try table.reset(stream)
        tables.append(table)
        return table
    }

    static func word(_ value: Float) -> Int32 { Int32(bitPattern: value.bitPattern) }

    // MARK: Execution

    /// Runs the operation directly, then twice as a recorded plan on the same inputs. All three must give the same
    /// bits, and touch nothing but the windows that may be written; recording must compute nothing, replaying must
    /// allocate nothing.
    func perform(_ body: (Stream) throws(ComputeError) -> Void) throws(ComputeError) {
        let direct = try timed { () throws(ComputeError) in try body(stream) }
        for (table, content) in zip(tables, direct) {
            results[ObjectIdentifier(table)] = content
            checkUntouched(table, content)
        }
        guard failures.isEmpty else { return }

        for table in tables where table.writable.contains(true) { try table.reset(stream) }
        let plan = try stream.record(body)
        let recorded = try contents()
        for (table, content) in zip(tables, recorded) where content != table.words {
            fail("recording a plan changed \(table.name)")
        }
        let allocations = stream.counters.allocations
        let first = try timed { () throws(ComputeError) in try stream.replay(plan) }
        let bytes = stream.device.allocatedBytes
        for table in tables where table.writable.contains(true) { try table.reset(stream) }
        let second = try timed { () throws(ComputeError) in try stream.replay(plan) }
        let grew = deviceIsIdle && stream.device.allocatedBytes > bytes
        if stream.counters.allocations != allocations || grew {
            fail("replaying a plan allocated memory")
        }
        for (index, table) in tables.enumerated() where first[index] != direct[index] || second[index] != direct[index]
        {
            fail("a replayed plan gave other bits than direct execution in \(table.name)")
        }
    }

    private func timed(_ body: () throws(ComputeError) -> Void) throws(ComputeError) -> [[Int32]] {
        try stream.finish()
        let clock = ContinuousClock()
        let start = clock.now
        try body()
        try stream.finish()
        let elapsed = clock.now - start
        seconds = min(seconds, elapsed / .seconds(1))
        return try contents()
    }

    private func contents() throws(ComputeError) -> [[Int32]] {
        var all: [[Int32]] = []
        for table in tables { all.append(try table.download(stream)) }
        return all
    }

    private func checkUntouched(_ table: CaseTable, _ content: [Int32]) {
        for place in content.indices where !table.writable[place] && content[place] != table.words[place] {
            fail(
                table.words[place] == CaseTable.canary
                    ? "wrote outside its output: element \(place) of \(table.name)"
                    : "changed element \(place) of \(table.name), an input")
            return
        }
    }

    // MARK: Verdicts

    func fail(_ message: String) {
        if failures.count < 4 { failures.append(message) }
    }

    /// What the operation left in a float32 operand, row after row.
    func values(of operand: Operand) -> [Float] {
        words(of: operand).map { Float(bitPattern: UInt32(bitPattern: $0)) }
    }

    /// What the operation left in an int32 operand, row after row.
    func words(of operand: Operand) -> [Int32] {
        operand.elements(of: results[ObjectIdentifier(operand.table)] ?? operand.table.words)
    }

    /// Compares element by element; NaN and infinities must be where the oracle has them.
    func compare(_ operand: Operand, _ expected: [Double], tolerance: (Int) -> Double) {
        let actual = values(of: operand)
        let columns = max(operand.matrix.columns, 1)
        for place in actual.indices {
            judge(Double(actual[place]), expected[place], tolerance(place)) {
                "element (\(place / columns), \(place % columns))"
            }
        }
    }

    /// Compares bit for bit.
    func compareExactly(_ operand: Operand, _ expected: [Int32]) {
        let actual = words(of: operand)
        let columns = max(operand.matrix.columns, 1)
        for place in actual.indices where actual[place] != expected[place] {
            let isFloat = operand.matrix.elementType == .float32
            func text(_ word: Int32) -> String {
                isFloat ? "\(Float(bitPattern: UInt32(bitPattern: word)))" : "\(word)"
            }
            fail(
                "element (\(place / columns), \(place % columns)) of \(operand.table.name) is "
                    + "\(text(actual[place])), expected exactly \(text(expected[place]))")
            return
        }
    }

    /// Compares bit for bit.
    func compareExactly(_ operand: Operand, _ expected: [Float]) {
        compareExactly(operand, expected.map(Self.word))
    }

    /// Notes one deviation.
    func judge(_ actual: Double, _ expected: Double, _ tolerance: Double, _ place: () -> String) {
        if actual == expected || (actual.isNaN && expected.isNaN) { return }
        let deviation = abs(actual - expected)
        var ratio = deviation / tolerance
        if ratio.isNaN || ratio.isInfinite { ratio = 1e30 }
        guard ratio > worst.ratio else { return }
        worst = WorstDeviation(
            deviation: deviation.isFinite ? deviation : 1e30, tolerance: tolerance, ratio: ratio,
            message: "\(place()) is \(actual), expected \(expected) ± \(tolerance)")
    }
}
