import Core
import Tables

/// A file of pictures and one of what they show, of which the first may be larger than memory.
public struct ImageFiles: Sendable {
    /// What each picture shows.
    public let labels: [Int]
    /// Height, width, channels of a picture.
    public let shape: (height: Int, width: Int, channels: Int)
    private let images: String

    public var count: Int { labels.count }
    /// Numbers of a picture.
    public var columns: Int { shape.height * shape.width * shape.channels }
    /// Bytes of all pictures in memory.
    public var byteCount: Int { 4 * count * columns }

    /// Reads the labels, and what the pictures' file says of itself.
    ///
    /// - Parameters:
    ///   - images: an IDX file of three or four extents, or a `.npy` array of two to four: pictures × height × width ×
    ///     channels, or pictures × numbers.
    ///   - labels: an IDX file or a `.npy` array with a whole number from 0 on for each picture.
    ///   - shape: of a picture, where the array does not tell; nil for a square of one channel.
    /// - Throws: ``SystemError``, or ``DataError`` for files that are damaged or don't fit each other.
    public init(images: String, labels: String, shape: (height: Int, width: Int, channels: Int)? = nil) throws {
        let (extents, columns) = try Self.extents(images)
        guard columns <= 1 << 28 else {
            throw DataError("a picture of \(columns) numbers is larger than any network takes", file: images)
        }
        let (found, width) = try Self.extents(labels)
        guard found[0] == extents[0], width == 1 else {
            throw DataError("there are \(found[0]) × \(width) labels for \(extents[0]) pictures", file: labels)
        }
        var classes: [Int] = []
        try Self.forEachBlock(labels, rows: 1 << 16) { _, numbers in
            for row in 0..<numbers.rows {
                guard let label = Int(exactly: numbers[row, 0]), (0..<1 << 20).contains(label) else {
                    throw DataError(
                        "label \(classes.count + 1) is \(numbers[row, 0]); labels are whole numbers from 0 on",
                        file: labels)
                }
                classes.append(label)
            }
        }
        let side = Int(Double(columns).squareRoot().rounded())
        if let shape {
            self.shape = shape
        } else if extents.count >= 3 {
            self.shape = (extents[1], extents[2], extents.count > 3 ? extents[3] : 1)
        } else {
            self.shape = (side, side, 1)
        }
        self.images = images
        self.labels = classes
        guard self.columns == columns, columns > 0 else {
            let (height, width, channels) = self.shape
            throw DataError(
                "a picture has \(columns) numbers, which are not \(height) × \(width) × \(channels); say its shape",
                file: images)
        }
    }

    /// Reads everything.
    public func all() throws -> ImageSet {
        try chosen(Array(0..<count))
    }

    /// Reads at most so many pictures, drawn from the whole file.
    public func sample(_ limit: Int, seed: UInt64) throws -> ImageSet {
        let order = Philox(seed: seed, stream: NetworkRandom.parts - 2).permutation(count: count)
        return try chosen(order.prefix(limit).sorted())
    }

    /// Reads some pictures, whose numbers ascend.
    private func chosen(_ rows: [Int]) throws -> ImageSet {
        let pixels = HostMatrix(
            rows: rows.count, columns: columns, storage: HostBuffer(uninitializedCount: rows.count * columns))
        var next = 0
        try forEachBlock { first, block in
            while next < rows.count, rows[next] < first + block.rows {
                _ = pixels.row(next).update(fromContentsOf: block.row(rows[next] - first))
                next += 1
            }
        }
        return ImageSet(pixels: pixels, labels: rows.map { labels[$0] }, shape: shape)
    }

    /// The pictures for a training in parts.
    ///
    /// - Parameters:
    ///   - partBytes: bytes of pictures in memory at a time.
    ///   - folder: where they are kept, divided at random, while the training lasts: 4 bytes a number.
    func streamed(partBytes: Int, folder: String) -> StreamedRows {
        StreamedRows(rows: count, partBytes: partBytes, folder: folder) { body in
            try forEachBlock { first, block in
                try body(Features(block), labels[first..<first + block.rows].map { Double($0) }, nil)
            }
        }
    }

    /// Hands over the pictures some at a time, with the number of the first.
    private func forEachBlock(_ body: (_ first: Int, _ block: HostMatrix) throws -> Void) throws {
        try Self.forEachBlock(images, rows: max((4 << 20) / (4 * columns), 1), body)
    }

    /// The extents of an array, and the numbers of one of its rows.
    private static func extents(_ path: String) throws -> ([Int], columns: Int) {
        if try IDXFile.isOne(path) {
            let file = try IDXReader(path: path)
            return (file.shape, columns: file.shape[0] > 0 ? file.count / file.shape[0] : 0)
        }
        let file = try NumPyFile(path: path, flattening: true)
        return (file.shape, columns: file.columns)
    }

    private static func forEachBlock(
        _ path: String, rows: Int, _ body: (_ first: Int, _ block: HostMatrix) throws -> Void
    ) throws {
        let isIDX = try IDXFile.isOne(path)
        let idx = isIDX ? try IDXReader(path: path) : nil
        let array = isIDX ? nil : try NumPyFile(path: path, flattening: true)
        if let array, !array.isRowMajor { return try body(0, array.matrix()) }
        let (shape, columns) = try extents(path)
        var bytes = [UInt8](repeating: 0, count: isIDX ? rows * columns : 0)
        for first in stride(from: 0, to: shape[0], by: rows) {
            let count = min(rows, shape[0] - first)
            let block = HostMatrix(
                rows: count, columns: columns, storage: HostBuffer(uninitializedCount: count * columns))
            if let idx {
                try bytes.withUnsafeMutableBytes {
                    try idx.fill(UnsafeMutableRawBufferPointer(rebasing: $0[..<(count * columns)]))
                }
                for place in 0..<count * columns { block.storage[place] = Float(bytes[place]) }
            } else if let array {
                try array.read(first..<first + count, into: block.storage.baseAddress)
            }
            try body(first, block)
        }
    }
}
