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

    init(pixels: HostMatrix, labels: [Int], shape: (height: Int, width: Int, channels: Int)) {
        (self.pixels, self.labels, self.shape) = (pixels, labels, shape)
    }

    /// Reads pictures and labels, all of them: see ``ImageFiles``.
    public init(images: String, labels: String, shape: (height: Int, width: Int, channels: Int)? = nil) throws {
        self = try ImageFiles(images: images, labels: labels, shape: shape).all()
    }
}
