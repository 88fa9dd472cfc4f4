import Core

#if canImport(Glibc)
    import Glibc
#endif

/// Rows of a training in a file without a name, divided at random into parts that fit into memory.
///
/// A row is one record of 32-bit words: numbers, identifiers, targets or label, weight. Each part is a list of pieces of
/// the file. The file goes when nobody holds the rows any more, also when the program is killed.
package final class SpilledNetworkData: NetworkDataParts {
    package let columns: Int
    package let isWeighted: Bool
    package let partRows: [Int]
    package let totalWeight: Double
    package let fingerprint: String
    private let layout: Layout
    private let file: SpillFile
    private let pieces: [[SpillFile.Piece]]

    /// How many words of a record are what.
    struct Layout: Equatable {
        let numbers: Int
        let identifiers: Int
        let targets: Int
        let labels: Int
        let weights: Int

        init(_ data: NetworkData) {
            numbers = data.features.columns
            identifiers = data.identifiers?.columns ?? 0
            targets = data.rows > 0 ? data.targets.count / data.rows : 0
            labels = data.labels.isEmpty ? 0 : 1
            weights = data.weights == nil ? 0 : 1
        }

        var words: Int { numbers + identifiers + targets + labels + weights }
    }

    fileprivate init(_ writer: SpillWriter) {
        layout = writer.layout!
        file = writer.file
        columns = layout.numbers
        isWeighted = layout.weights > 0
        let filled = writer.rows.indices.filter { writer.rows[$0] > 0 }
        partRows = filled.map { writer.rows[$0] }
        pieces = filled.map { writer.pieces[$0] }
        totalWeight = isWeighted ? writer.weight : Double(partRows.reduce(0, +))
        fingerprint = String(writer.hash, radix: 16)
    }

    package func part(_ index: Int) throws -> NetworkData {
        let rows = partRows[index]
        let words = HostBuffer<UInt32>(uninitializedCount: rows * layout.words)
        var place = 0
        for piece in pieces[index] {
            try file.read(piece, into: UnsafeMutableRawPointer(words.baseAddress + place))
            place += piece.byteCount / 4
        }
        let features = HostMatrix(rows: rows, columns: layout.numbers)
        var identifiers = [Int32](repeating: 0, count: rows * layout.identifiers)
        var targets = [Float](repeating: 0, count: rows * layout.targets)
        var labels = [Int32](repeating: 0, count: rows * layout.labels)
        var weights = [Float](repeating: 0, count: rows * layout.weights)
        for row in 0..<rows {
            var word = words.baseAddress + row * layout.words
            func next() -> UInt32 {
                defer { word += 1 }
                return word.pointee
            }
            let numbers = features.row(row)
            for column in 0..<layout.numbers { numbers[column] = Float(bitPattern: next()) }
            for column in 0..<layout.identifiers {
                identifiers[row * layout.identifiers + column] = Int32(bitPattern: next())
            }
            for column in 0..<layout.targets { targets[row * layout.targets + column] = Float(bitPattern: next()) }
            if layout.labels > 0 { labels[row] = Int32(bitPattern: next()) }
            if layout.weights > 0 { weights[row] = Float(bitPattern: next()) }
        }
        return NetworkData(
            features: features,
            identifiers: layout.identifiers > 0
                ? IdentifierRows(columns: layout.identifiers, values: identifiers) : nil,
            targets: targets, labels: labels, weights: layout.weights > 0 ? weights : nil)
    }
}

/// Writes ``SpilledNetworkData``.
package final class SpillWriter {
    fileprivate let file: SpillFile
    fileprivate var layout: SpilledNetworkData.Layout?
    fileprivate var rows: [Int]
    fileprivate var pieces: [[SpillFile.Piece]]
    fileprivate var weight = 0.0
    fileprivate var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    private var buffers: [[UInt32]]
    private let random: Philox
    private var written = 0

    /// Words of a part that are written at once.
    private static let bufferedWords = 1 << 15

    /// - Parameters:
    ///   - folder: where the file is.
    ///   - parts: among how many parts the rows are divided.
    package init(folder: String, parts: Int, seed: UInt64) throws {
        file = try SpillFile(folder: folder)
        rows = [Int](repeating: 0, count: parts)
        pieces = [[SpillFile.Piece]](repeating: [], count: parts)
        buffers = [[UInt32]](repeating: [], count: parts)
        random = Philox(seed: seed, stream: NetworkRandom.parts - 1)
    }

    /// Adds rows, each to a part drawn for it. All calls must have data of the same form.
    package func append(_ data: NetworkData) throws {
        guard data.rows > 0 else { return }
        if layout == nil { layout = SpilledNetworkData.Layout(data) }
        let layout = layout!
        precondition(layout == SpilledNetworkData.Layout(data), "rows of another form")
        for row in 0..<data.rows {
            let part = Int(random.integer64(UInt64(written)) % UInt64(rows.count))
            written += 1
            rows[part] += 1
            let start = buffers[part].count
            for value in data.features.row(row) { buffers[part].append(value.bitPattern) }
            for column in 0..<layout.identifiers {
                buffers[part].append(UInt32(bitPattern: data.identifiers!.values[row * layout.identifiers + column]))
            }
            for column in 0..<layout.targets {
                buffers[part].append(data.targets[row * layout.targets + column].bitPattern)
            }
            if layout.labels > 0 { buffers[part].append(UInt32(bitPattern: data.labels[row])) }
            if let weights = data.weights {
                buffers[part].append(weights[row].bitPattern)
                weight += Double(weights[row])
            }
            for place in start..<buffers[part].count {
                hash = (hash ^ UInt64(buffers[part][place])) &* 0x100_0000_01b3
            }
            if buffers[part].count >= Self.bufferedWords { try flush(part) }
        }
    }

    private func flush(_ part: Int) throws {
        guard !buffers[part].isEmpty else { return }
        pieces[part].append(try buffers[part].withUnsafeBytes { try file.append($0) })
        buffers[part].removeAll(keepingCapacity: true)
    }

    /// All that was added. Throws ``DataError`` when that was nothing.
    package func finish() throws -> SpilledNetworkData {
        for part in buffers.indices { try flush(part) }
        guard layout != nil else { throw DataError("there are no rows to train on") }
        buffers = []
        return SpilledNetworkData(self)
    }
}

/// A file without a name.
private final class SpillFile: Sendable {
    struct Piece {
        let offset: Int
        let byteCount: Int
    }

    private let descriptor: Int32
    private let folder: String
    nonisolated(unsafe) private var end = 0

    init(folder: String) throws {
        self.folder = folder
        var template = Array("\(folder)/.apus-rows-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw SystemError(
                operation: "create a file for the encoded rows", object: folder,
                reason: String(cString: strerror(errno)))
        }
        unlink(template)
    }

    deinit { close(descriptor) }

    func append(_ bytes: UnsafeRawBufferPointer) throws -> Piece {
        let piece = Piece(offset: end, byteCount: bytes.count)
        var done = 0
        while done < bytes.count {
            let count = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(end + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw SystemError(
                    operation: "write the encoded rows", object: folder,
                    reason:
                        "\(String(cString: strerror(errno))); they need as many bytes as the rows have features, times 4"
                )
            }
            done += count
        }
        end += bytes.count
        return piece
    }

    func read(_ piece: Piece, into target: UnsafeMutableRawPointer) throws {
        var done = 0
        while done < piece.byteCount {
            let count = pread(descriptor, target + done, piece.byteCount - done, off_t(piece.offset + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw SystemError(
                    operation: "read the encoded rows", object: folder,
                    reason: count == 0 ? "the file has become shorter" : String(cString: strerror(errno)))
            }
            done += count
        }
    }
}
