import Compute
import Core
import Devices
import Glibc
import Learners
import Tables
import Testing

/// The devices that every learner is tested on.
enum TestDevices {
    /// Every usable device of the machine, opened once.
    static let all: [any Device] = (try? Devices.all()) ?? []
    static let names = all.map(\.identity.name)

    static func stream(_ name: String) throws -> Compute.Stream {
        let device = try #require(all.first { $0.identity.name == name })
        return try device.makeStream()
    }
}

/// The value of a variable of the environment.
func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// The folder of public data sets, if there is one.
let dataFolder: String? = environment("APUS_TEST_DATA")

/// A folder that goes with the test.
final class TemporaryFolder {
    let path: String

    init() {
        var template = Array("/tmp/apus-learners-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        for name in names { unlink(path + "/" + name) }
        rmdir(path)
    }

    /// The files that are there.
    var names: [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    func file(_ name: String) -> String { path + "/" + name }
}

func readBytes(_ path: String) throws -> [UInt8] {
    let file = try #require(fopen(path, "rb"), "\(path) can't be opened")
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&piece, 1, piece.count, file), count > 0 { bytes += piece[0..<count] }
    return bytes
}

func writeBytes(_ bytes: [UInt8], to path: String) throws {
    let file = try #require(fopen(path, "wb"), "\(path) can't be opened")
    defer { fclose(file) }
    try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
}

/// Rows of given lengths, repeated in turn, with columns and values drawn at random.
func randomInteractions(
    rows: Int, columns: Int, lengths: [Int], seed: UInt64 = 5, values: ClosedRange<Int> = 1...5
) -> HostSparseMatrix {
    let random = Philox(seed: seed, stream: 2)
    var entries: [(row: Int, column: Int, value: Float)] = []
    for row in 0..<rows {
        let order = random.permutation(count: columns, start: UInt64(row * columns))
        for column in order.prefix(lengths[row % lengths.count]) {
            let value = values.lowerBound + random.integer(UInt64(row * columns + column), below: values.count)
            entries.append((row, column, Float(value)))
        }
    }
    return HostSparseMatrix(rows: rows, columns: columns, entries: entries)
}

/// Interactions of a small generated shop.
func shop(
    users: Int = 300, items: Int = 120, interactions: Int = 6000, seed: UInt64 = 3
) throws -> Interactions {
    var options = SyntheticInteractions.Options()
    options.users = users
    options.items = items
    options.interactions = interactions
    options.seed = seed
    let rows = try SyntheticInteractions(options).arrays()
    return try Interactions(
        users: rows.users.map { "u\($0)" }, items: rows.items.map { "i\($0)" }, values: rows.values.map { Float($0) },
        times: rows.times)
}

/// Factors drawn from a standard normal distribution, times `scale`.
func randomTable(_ rows: Int, _ columns: Int, scale: Double, seed: UInt64) -> HostMatrix {
    let random = Philox(seed: seed, stream: 3)
    return HostMatrix(
        rows: rows, columns: columns, elements: (0..<rows * columns).map { Float(random.normal(UInt64($0)) * scale) })
}

extension HostMatrix {
    /// The elements in double precision, row after row.
    var rowsOfDoubles: [[Double]] { (0..<rows).map { row in self.row(row).map { Double($0) } } }

    /// Whether every bit is the same.
    func isIdentical(to other: HostMatrix) -> Bool {
        rows == other.rows && columns == other.columns
            && zip(storage.elements, other.storage.elements).allSatisfy { $0.bitPattern == $1.bitPattern }
    }
}

/// ‖a − b‖ / ‖b‖ over all elements.
func relativeDifference(_ a: [[Double]], _ b: [[Double]]) -> Double {
    var (difference, size) = (0.0, 0.0)
    for (x, y) in zip(a.joined(), b.joined()) {
        difference += (x - y) * (x - y)
        size += y * y
    }
    return difference.squareRoot() / max(size.squareRoot(), 1e-30)
}

/// A training of two classes that goes on from the checkpoint of its second epoch comes to the bits of one that never stopped.
func expectResumes(
    _ architecture: NetworkArchitecture, _ data: NetworkData, _ options: NetworkTrainingOptions, on device: String
) throws {
    func trainer() throws -> NetworkTrainer {
        try NetworkTrainer(architecture, objective: .binary, options: options, stream: TestDevices.stream(device))
    }
    let folder = TemporaryFolder()
    var saved: NetworkCheckpoint?
    let whole = try trainer().train(
        data,
        saving: { make in
            let checkpoint = try make()
            if checkpoint.history.epochs == 2 { saved = checkpoint }
        })
    try #require(saved).save(to: folder.file("checkpoint"))
    let resumed = try trainer().train(data, resuming: try NetworkCheckpoint(path: folder.file("checkpoint")))
    #expect(resumed.history.losses == whole.history.losses)
    for (a, b) in zip(whole.weights.values, resumed.weights.values) {
        #expect(a.array.map(\.bitPattern) == b.array.map(\.bitPattern))
    }
}
