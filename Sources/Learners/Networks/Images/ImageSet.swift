import Core
import Tables

/// Pictures with what they show: from IDX files, as MNIST has them, or from arrays of NumPy.
public struct ImageSet: Sendable {
    /// A picture in each row.
    public let pixels: HostMatrix
    public let labels: [Int]
    /// Height, width, channels of a picture.
    public let shape: (height: Int, width: Int, channels: Int)

    public var count: Int { labels.count }

    /// Identifies pictures and labels.
    public var fingerprint: String {
        labels.withUnsafeBytes { bytes in
            StructureHash.hexadecimal(
                StructureHash.hash([StructureHash.raw(pixels.storage), bytes], options: "pictures", threads: 1))
        }
    }

    /// Reads pictures and labels.
    ///
    /// - Parameters:
    ///   - images: an IDX file of three or four extents, or a `.npy` array of two to four: pictures × height × width ×
    ///     channels, or pictures × numbers.
    ///   - labels: an IDX file or a `.npy` array with a whole number from 0 on for each picture.
    ///   - shape: of a picture, where the array does not tell; nil for a square of one channel.
    /// - Throws: ``SystemError``, or ``DataError`` for files that are damaged or don't fit each other.
    public init(images: String, labels: String, shape: (height: Int, width: Int, channels: Int)? = nil) throws {
        let (pixels, extents) = try Self.read(images)
        let (numbers, _) = try Self.read(labels)
        guard numbers.rows == pixels.rows, numbers.columns == 1 else {
            throw DataError(
                "there are \(numbers.rows) × \(numbers.columns) labels for \(pixels.rows) pictures", file: labels)
        }
        var classes: [Int] = []
        for row in 0..<numbers.rows {
            guard let label = Int(exactly: numbers[row, 0]), (0..<1 << 20).contains(label) else {
                throw DataError(
                    "label \(row + 1) is \(numbers[row, 0]); labels are whole numbers from 0 on", file: labels)
            }
            classes.append(label)
        }
        let side = Int(Double(pixels.columns).squareRoot().rounded())
        let found: (height: Int, width: Int, channels: Int)
        if let shape {
            found = shape
        } else if extents.count >= 3 {
            found = (extents[1], extents[2], extents.count > 3 ? extents[3] : 1)
        } else {
            found = (side, side, 1)
        }
        guard found.height * found.width * found.channels == pixels.columns, pixels.columns > 0 else {
            throw DataError(
                "a picture has \(pixels.columns) numbers, which are not \(found.height) × \(found.width) × \(found.channels); "
                    + "say its shape", file: images)
        }
        (self.pixels, self.labels, self.shape) = (pixels, classes, found)
    }

    private static func read(_ path: String) throws -> (HostMatrix, [Int]) {
        if try IDXFile.isOne(path) {
            let file = try IDXFile(path: path)
            let rows = file.shape[0]
            let columns = rows > 0 ? file.elements.count / rows : 0
            let matrix = HostMatrix(
                rows: rows, columns: columns, storage: HostBuffer(uninitializedCount: file.elements.count))
            for (place, byte) in file.elements.enumerated() { matrix.storage[place] = Float(byte) }
            return (matrix, file.shape)
        }
        let file = try NumPyFile(path: path, flattening: true)
        return (try file.matrix(), file.shape)
    }
}
