import Core
import Tables
import Testing

/// `.npy` files: what NumPy writes is read, what we write NumPy reads (checked by hand: the header is the format's).
@Suite struct NumPyFileTests {
    private func file(_ header: String, _ data: [UInt8], version: UInt8 = 1) -> [UInt8] {
        var text = header
        while (10 + text.utf8.count + 1) % 16 != 0 { text += " " }
        text += "\n"
        let length = text.utf8.count
        var lead: [UInt8] = [0x93] + Array("NUMPY".utf8) + [version, 0, UInt8(length & 255), UInt8(length >> 8)]
        if version >= 2 { lead += [0, 0] }
        return lead + Array(text.utf8) + data
    }

    private func bytes<Value>(_ values: [Value]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

    private func read(_ bytes: [UInt8]) throws -> HostMatrix {
        let folder = TemporaryFolder()
        return try NumPyFile(path: folder.write("x.npy", bytes)).matrix()
    }

    @Test func elementTypesAndOrders() throws {
        let expected: [Float] = [1, 2, 3, 4, 5, 6]
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
        for version in [UInt8(1), 2, 3] {
            #expect(try read(file(header, bytes(expected), version: version)).storage.array == expected)
        }
        func typed(_ type: String) -> String {
            "{'descr': '\(type)', 'fortran_order': False, 'shape': (2, 3), }"
        }
        #expect(try read(file(typed("<f8"), bytes(expected.map(Double.init)))).storage.array == expected)
        #expect(try read(file(typed("<i8"), bytes(expected.map { Int64($0) }))).storage.array == expected)
        #expect(try read(file(typed("|u1"), bytes(expected.map { UInt8($0) }))).storage.array == expected)
        #expect(
            try read(file(typed(">i2"), bytes(expected.map { Int16($0).byteSwapped }))).storage.array == expected)
        #expect(
            try read(file(typed(">f4"), bytes(expected.map { $0.bitPattern.byteSwapped }))).storage.array == expected)
        let fortran = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }"
        #expect(try read(file(fortran, bytes([1, 4, 2, 5, 3, 6] as [Float]))).storage.array == expected)
        let vector = try read(file("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", bytes(expected)))
        #expect(vector.rows == 6 && vector.columns == 1)
    }

    @Test func whatIsNoMatrixIsRefused() throws {
        func refused(_ contents: [UInt8], _ words: String) {
            do {
                _ = try read(contents)
                Issue.record("was read: \(words)")
            } catch {
                #expect("\(error)".contains(words), "\(error)")
            }
        }
        refused(Array("user,item\n1,2\n3,4\n".utf8), "not a NumPy file")
        refused([], "not a NumPy file")
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
        refused(file(good, bytes([1, 2, 3] as [Float])), "cut short")
        refused(file("{'descr': '<U4', 'fortran_order': False, 'shape': (2, 3), }", []), "not numbers")
        refused(file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }", []), "not a matrix")
        refused(Array(file(good, []).prefix(30)), "cut short")
        refused(
            file("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 3), }", []), "cut short")
    }

    @Test func roundTrip() throws {
        let folder = TemporaryFolder()
        let matrix = HostMatrix(rows: 3, columns: 2, elements: [1, -2, 3.5, .infinity, 1e-40, 6])
        try NumPyFile.write(matrix, to: folder.path + "/m.npy")
        let file = try NumPyFile(path: folder.path + "/m.npy")
        #expect(try file.matrix().storage.array == matrix.storage.array)
        let rows = HostMatrix(rows: 2, columns: 2)
        try file.read(1..<3, into: rows.storage.baseAddress)
        #expect(rows.storage.array == Array(matrix.storage.array[2...]))
        try NumPyFile.write([1, 2, -3] as [Int32], to: folder.path + "/l.npy")
        #expect(try NumPyFile(path: folder.path + "/l.npy").matrix().storage.array == [1, 2, -3])
    }
}
