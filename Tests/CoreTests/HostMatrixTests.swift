import Core
import Testing

@Suite("Host matrices") struct HostMatrixTests {
    private func dense(_ matrix: HostSparseMatrix) -> [[Float]] {
        var rows = [[Float]](repeating: Array(repeating: 0, count: matrix.columns), count: matrix.rows)
        for row in 0..<matrix.rows {
            for entry in matrix.range(ofRow: row) {
                rows[row][Int(matrix.columnIndices[entry])] = matrix.values[entry]
            }
        }
        return rows
    }

    @Test func triplesAreSortedAndAddedUp() {
        let matrix = HostSparseMatrix(
            rows: 4, columns: 3,
            entries: [(2, 2, 1), (0, 1, 2), (2, 0, 3), (2, 2, 4), (0, 1, -2)])
        #expect(matrix.rowPointers.array == [0, 1, 1, 3, 3])
        #expect(matrix.columnIndices.array == [1, 0, 2])
        #expect(matrix.values.array == [0, 3, 5])
        #expect(matrix.entryCount == 3 && matrix.range(ofRow: 2) == 1..<3 && matrix.range(ofRow: 3).isEmpty)
        #expect(matrix.byteCount == 5 * 8 + 3 * 4 + 3 * 4)
    }

    @Test func transposition() {
        let generator = Philox(seed: 1, stream: 1)
        var entries: [(row: Int, column: Int, value: Float)] = []
        for index in 0..<300 {
            let place = UInt64(3 * index)
            entries.append(
                (generator.integer(place, below: 23), generator.integer(place + 1, below: 40), Float(index + 1)))
        }
        let matrix = HostSparseMatrix(rows: 23, columns: 41, entries: entries)
        let transposed = matrix.transposed()
        #expect(transposed.rows == 41 && transposed.columns == 23 && transposed.entryCount == matrix.entryCount)
        let (a, b) = (dense(matrix), dense(transposed))
        for row in 0..<23 {
            for column in 0..<41 { #expect(a[row][column] == b[column][row]) }
        }
        for row in 0..<41 {
            let indices = transposed.columnIndices.array[transposed.range(ofRow: row)]
            #expect(zip(indices, indices.dropFirst()).allSatisfy { $0 < $1 })
        }
        let again = transposed.transposed()
        #expect(again.rowPointers.array == matrix.rowPointers.array)
        #expect(again.columnIndices.array == matrix.columnIndices.array)
        #expect(again.values.array == matrix.values.array)
    }

    @Test func transpositionOfNothing() {
        let empty = HostSparseMatrix(rows: 0, columns: 3, entries: []).transposed()
        #expect(empty.rows == 3 && empty.columns == 0 && empty.rowPointers.array == [0, 0, 0, 0])
        let columnless = HostSparseMatrix(rows: 2, columns: 0, entries: []).transposed()
        #expect(columnless.rows == 0 && columnless.columns == 2 && columnless.rowPointers.array == [0])
    }

    @Test func denseMatricesAreRowMajor() {
        let matrix = HostMatrix(rows: 2, columns: 3, elements: [1, 2, 3, 4, 5, 6])
        #expect(matrix[1, 0] == 4 && Array(matrix.row(1)) == [4, 5, 6])
        matrix[0, 2] = 9
        #expect(matrix.storage.array == [1, 2, 9, 4, 5, 6])
        #expect(HostMatrix(rows: 2, columns: 2, repeating: 7).storage.array == [7, 7, 7, 7])
    }

    @Test(arguments: [0, 1, 1000, 1 << 20])
    func buffersAreAlignedToPages(_ count: Int) {
        let buffer = HostBuffer<Float>(repeating: 3, count: count)
        #expect(Int(bitPattern: buffer.baseAddress) % HostMemory.alignment == 0)
        #expect(buffer.elements.allSatisfy { $0 == 3 } && buffer.elements.count == count)
        #expect(buffer.byteCount == 4 * count)
    }

    @Test func viewsReleaseTheirMemoryAtTheEnd() {
        final class Flag { var released = false }
        let flag = Flag()
        let memory = UnsafeMutablePointer<Float>.allocate(capacity: 2)
        memory.initialize(repeating: 1, count: 2)
        do {
            let view = HostBuffer(viewing: memory, count: 2) { flag.released = true }
            #expect(view.array == [1, 1] && !flag.released)
        }
        #expect(flag.released)
        memory.deallocate()
    }

    /// More than any address space has.
    @Test func memoryThatTheSystemRefuses() {
        #expect(HostMemory.allocateIfPossible(byteCount: 1 << 60) == nil)
        #expect(HostBuffer<UInt8>(uninitializedCountIfPossible: 1 << 60) == nil)
        let possible = HostMemory.possibleBytes(below: 1 << 60)
        #expect(possible >= 1 << 20 && possible < 1 << 59)
        #expect(HostBuffer<Float>(uninitializedCountIfPossible: 1 << 20)?.byteCount == 1 << 22)
    }
}

/// Joining sparse matrices.
@Suite struct SparseMergeTests {
    @Test func placesThatBothHaveAreAddedUp() {
        let first = HostSparseMatrix(rows: 3, columns: 4, entries: [(0, 1, 2), (0, 3, 1), (2, 0, 5)])
        let second = HostSparseMatrix(rows: 3, columns: 4, entries: [(0, 0, 7), (0, 1, 3), (1, 2, 4)])
        let sum = first.merged(with: second)
        #expect(sum.rowPointers.array == [0, 3, 4, 5])
        #expect(sum.columnIndices.array == [0, 1, 3, 2, 0])
        #expect(sum.values.array == [7, 5, 1, 4, 5])
    }

    @Test func growing() {
        let small = HostSparseMatrix(rows: 2, columns: 2, entries: [(0, 1, 2), (1, 0, 5)])
        let large = small.resized(rows: 4, columns: 3)
        #expect(large.rows == 4 && large.columns == 3 && large.rowPointers.array == [0, 1, 2, 2, 2])
        #expect(large.transposed().rowPointers.array == [0, 1, 2, 2])
    }
}
