import CVectorLoops
import Core

/// The features as numbers of bins, one byte each.
///
/// Boosting adds up all features of a row and has them in blocks of eight, a row's part of a block being one 64-bit
/// word. Forests look at one feature after another and have them by column.
struct BinnedTable: Sendable {
    enum Layout { case blocks, columns }

    let bins: FeatureBins
    let kinds: [TreeFeatureKind]
    let rows: Int
    let columns: Int
    let layout: Layout
    private let storage: HostBuffer<UInt64>

    /// Rows of one parallel task.
    private static let chunk = 16_384

    init(features: HostMatrix, kinds: [TreeFeatureKind], bins: FeatureBins, layout: Layout, pool: WorkerPool) {
        rows = features.rows
        columns = features.columns
        self.bins = bins
        self.kinds = kinds
        self.layout = layout
        let rows = rows, columns = columns
        let blocks = (columns + 7) / 8
        storage = HostBuffer(uninitializedCount: layout == .blocks ? blocks * rows : columns * ((rows + 7) / 8))
        let chunks = (rows + Self.chunk - 1) / Self.chunk
        let table = self
        let padded: [[Float]] = bins.edges.map { $0 + [Float](repeating: .infinity, count: 255 - $0.count) }
        pool.parallelFor(chunks * blocks) { task, _ in
            let block = task % blocks
            let begin = task / blocks * Self.chunk, end = min(begin + Self.chunk, rows)
            if layout == .blocks {
                (table.storage.baseAddress + block * rows + begin).update(repeating: 0, count: end - begin)
            }
            for column in 8 * block..<min(8 * block + 8, columns) {
                let codes = table.codes(column)
                let source = features.storage.baseAddress + begin * columns + column
                let missing = UInt8(bins.counts[column])
                switch kinds[column] {
                case .number:
                    apus_bin_numbers(
                        source, Int64(columns), Int64(end - begin), padded[column], missing,
                        codes.address + codes.stride * begin, Int64(codes.stride))
                case .category(let levels):
                    apus_bin_categories(
                        source, Int64(columns), Int64(end - begin), bins.categories[column], Int64(levels), missing,
                        codes.address + codes.stride * begin, Int64(codes.stride))
                }
            }
        }
    }

    /// The bins of one feature: the first, and the distance between rows in bytes.
    func codes(_ column: Int) -> (address: UnsafeMutablePointer<UInt8>, stride: Int) {
        let bytes = UnsafeMutableRawPointer(storage.baseAddress).assumingMemoryBound(to: UInt8.self)
        switch layout {
        case .blocks: return (bytes + (column / 8 * rows) * 8 + column % 8, 8)
        case .columns: return (bytes + column * ((rows + 7) / 8) * 8, 1)
        }
    }

    /// A block of eight features; only in the layout of blocks.
    func block(_ index: Int) -> UnsafeMutablePointer<UInt64> { storage.baseAddress + index * rows }

    var blockCount: Int { (columns + 7) / 8 }

    /// Features of a block: eight, or what is left.
    func blockWidth(_ index: Int) -> Int { min(8, columns - 8 * index) }
}
