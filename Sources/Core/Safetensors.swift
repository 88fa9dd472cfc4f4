/// The element types of the safetensors format that fill whole bytes.
public enum TensorType: String, Sendable, CaseIterable {
    case f64 = "F64"
    case f32 = "F32"
    case f16 = "F16"
    case bf16 = "BF16"
    case i64 = "I64"
    case i32 = "I32"
    case i16 = "I16"
    case i8 = "I8"
    case u64 = "U64"
    case u32 = "U32"
    case u16 = "U16"
    case u8 = "U8"
    case bool = "BOOL"
    case f8e4m3 = "F8_E4M3"
    case f8e5m2 = "F8_E5M2"

    /// Bytes of one element.
    public var byteCount: Int {
        switch self {
        case .f64, .i64, .u64: 8
        case .f32, .i32, .u32: 4
        case .f16, .bf16, .i16, .u16: 2
        case .i8, .u8, .bool, .f8e4m3, .f8e5m2: 1
        }
    }
}

/// Name, element type and shape of a tensor in a file.
public struct TensorDescription: Sendable, Hashable {
    public let name: String
    public let type: TensorType
    /// Extents, the slowest first; empty for a single number.
    public let shape: [Int]

    public init(name: String, type: TensorType, shape: [Int]) {
        self.name = name
        self.type = type
        self.shape = shape
    }
}

/// What both sides of the format agree on: https://github.com/huggingface/safetensors.
enum SafetensorsFormat {
    /// Bytes before the header: its length, little-endian.
    static let prefixByteCount = 8
    /// The longest header that the reference reader accepts, 100 MB.
    static let largestHeader = 100_000_000
    /// The data begins at a multiple of this, the width of a cache line and of the widest vector.
    static let alignment = 64
    static let metadataKey = "__metadata__"

    /// The product of extents, or nil where one is negative or the product overflows.
    static func elementCount(_ shape: [Int]) -> Int? {
        var count = 1
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            if extent < 0 || overflow { return nil }
            count = product
        }
        return count
    }
}
